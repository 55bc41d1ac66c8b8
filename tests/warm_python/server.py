"""Imports all that the project's processes need, once, and forks them (`python -m tests.warm_python.server SOCKET`)."""

import atexit
import ctypes
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import socketserver
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

import backend
import dashboard
import worker
from memgen.contract.stages import STAGES

PR_SET_PDEATHSIG = 1
ACT_WHEN_IMPORTED = ("__main__", ".migrations", ".app_pages", "dashboard.main")
LATE = (  # what they import when they need it
    "memgen.cli", "math_verify", "uvicorn.protocols.http.h11_impl", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "celery.apps.worker", "celery.concurrency.thread", "celery.worker.consumer", "kombu.transport.redis",
    "streamlit.web.server.starlette", "streamlit.elements.vega_charts", "streamlit.delta_generator",
)  # fmt: skip


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Each client gets a process."""

    request_queue_size = 64
    max_children = 1000


class Guardian(socketserver.BaseRequestHandler):
    """Starts one process, passes signals on to it and its end back; the end of the client is the process's."""

    def handle(self) -> None:
        """Serve a client; this is a process of its own."""
        client: socket.socket = self.request
        length, streams, _, _ = socket.recv_fds(client, 4, 3)
        wish = json.loads(client.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        guardian = os.getpid()
        pid = os.fork()
        if pid == 0:
            client.close()
            become(wish, streams, guardian)
        for stream in streams:  # or a pipe's reader would wait for this one as well
            os.close(stream)
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


def become(wish: dict[str, Any], streams: list[int], guardian: int) -> NoReturn:
    """Be the process, with a parent that it knows as its supervisor."""
    code: object = None
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        os.environ.clear()
        os.environ.update(wish["environment"])
        if "MEMGEN_SUPERVISOR_PID" in os.environ:
            os.environ["MEMGEN_SUPERVISOR_PID"] = str(guardian)
        os.umask(wish["umask"])
        os.chdir(wish["folder"])
        sys.executable = wish["python"]
        _begin_as_python_does()
        module, *words = wish["words"]
        sys.argv = [module, *words]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    threading._shutdown()  # as at the end of any Python: wait for threads, then say goodbye
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _begin_as_python_does() -> None:
    """What Python does with PYTHONPATH when it starts."""
    sys.path[:0] = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    with suppress(ImportError):
        import_module("sitecustomize")


def import_all(package: ModuleType) -> None:
    """Import every module of a package that does nothing when it is imported."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not any(part in found.name for part in ACT_WHEN_IMPORTED):
            import_module(found.name)


def serve(address: str) -> None:
    """Import everything, then serve until the parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # a module that runs as `__main__` may be there already under its name
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")
    with Server(address, Guardian) as server:
        for stage in STAGES:
            import_module(stage.runner.partition(":")[0])
        import_module("memgen.trying.session")
        for package in (backend, worker, dashboard):
            import_all(package)
        for name in LATE:
            import_module(name)
        gc.collect()
        gc.freeze()  # or a process's first collection copies all of it
        server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
