"""Stands for a process that the server forks: same arguments, environment, folder, streams, signals and end."""

import ctypes
import json
import os
import resource
import signal
import socket
import sys
import time

ADDRESS = f"{sys.argv[0]}.socket"
OURS = ("backend", "dashboard", "memgen", "tests", "worker")
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


def connected() -> socket.socket:
    """The way to the server, which may still have to begin."""
    server = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            server.connect(ADDRESS)
            return server
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def main() -> None:
    """Ask for a process, pass signals on to it, and end as it ends."""
    words = [word for word in sys.argv[1:2] if word != "-u"] + sys.argv[2:]  # without a buffer it is in any case
    if words[:1] != ["-m"] or words[1].partition(".")[0] not in OURS:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    die_with_parent()
    server = connected()
    umask = os.umask(0)
    os.umask(umask)
    wish = {
        "words": words[1:],
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109  pathlib takes long to import
        "umask": umask,
        "python": sys.argv[0],
    }
    asked = json.dumps(wish).encode()
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    for number in SIGNALS:
        signal.signal(number, lambda number, _: server.sendall(bytes([number])))
    end = b""
    while len(end) < 4:
        part = server.recv(4 - len(end))
        if not part:
            sys.exit("the server of warm processes has gone")
        end += part
    code = int.from_bytes(end, "big", signed=True)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


main()
