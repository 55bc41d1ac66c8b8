"""Imports all that a trainer needs, once, and forks trainers from it (`python -m tests.warm_trainer.server SOCKET`)."""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import socketserver
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

from memgen.contract.stages import STAGES

PR_SET_PDEATHSIG = 1


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Each client gets a process."""


class Guardian(socketserver.BaseRequestHandler):
    """Starts one trainer, passes signals on to it and its end back; the end of the client is the trainer's."""

    def handle(self) -> None:
        """Serve a client; this is a process of its own."""
        client: socket.socket = self.request
        length, streams, _, _ = socket.recv_fds(client, 4, 3)
        wish = json.loads(client.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        guardian = os.getpid()
        pid = os.fork()
        if pid == 0:
            client.close()
            train(wish, streams, guardian)
        ended, code = os.pidfd_open(pid), None
        while code is None:
            ready, _, _ = select.select([ended, client.fileno()], [], [])
            if ended in ready:
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            else:
                number = client.recv(1)
                os.kill(pid, number[0] if number else signal.SIGKILL)
                if not number:
                    return
        client.sendall(code.to_bytes(4, "big", signed=True))


def train(wish: dict[str, Any], streams: list[int], guardian: int) -> NoReturn:
    """Be the trainer, with a parent that it knows as its supervisor."""
    code: object = None
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        os.environ.clear()
        os.environ.update(wish["environment"])
        if "MEMGEN_SUPERVISOR_PID" in os.environ:
            os.environ["MEMGEN_SUPERVISOR_PID"] = str(guardian)
        os.chdir(wish["folder"])
        module, *words = wish["words"]
        sys.argv = ["memgen", *words]
        import_module(module).main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def serve(address: str) -> None:
    """Import everything, then serve until the parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with Server(address, Guardian) as server:
        for stage in STAGES:
            import_module(stage.runner.partition(":")[0])
        import_module("memgen.trying.session")
        gc.collect()
        gc.freeze()  # or a trainer's first collection copies all of it
        server.serve_forever()


serve(sys.argv[1])
