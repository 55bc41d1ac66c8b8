"""Stands for a trainer that the server forks: same arguments, environment, folder, streams, signals and end."""

import ctypes
import json
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
PR_SET_PDEATHSIG = 1
PATIENCE = 120.0  # seconds until the server listens


def die_with_parent() -> None:
    """As a trainer of its own does when its supervisor dies."""
    supervisor = os.environ.get("MEMGEN_SUPERVISOR_PID")
    if supervisor:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(supervisor):
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Ask for a trainer, pass signals on to it, and end as it ends."""
    die_with_parent()
    address, *words = sys.argv[1:]
    server = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            server.connect(address)
            break
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    wish = json.dumps({"words": words, "environment": dict(os.environ), "folder": str(Path.cwd())}).encode()
    socket.send_fds(server, [len(wish).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(wish)
    for number in SIGNALS:
        signal.signal(number, lambda number, _: server.sendall(bytes([number])))
    end = b""
    while len(end) < 4:
        part = server.recv(4 - len(end))
        if not part:
            sys.exit("the server of warm trainers has gone")
        end += part
    code = int.from_bytes(end, "big", signed=True)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


main()
