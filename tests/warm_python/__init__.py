"""Trainers that begin where all their imports are done.

Importing torch, transformers and peft takes longer than most runs of the tiny model. One server does it once; a trainer
is then a fork of it, with the arguments, environment, folder and streams of a small client, which stands for it: the
client passes signals on, dies by the same signal or exits with the same code, and its death is the trainer's. What is
kept from a trainer of its own: SIGSTOP reaches the client alone.

How a trainer starts and ends as a process of its own is what `tests/worker`, `tests/faults`, `tests/memgen/test_cli.py`
and `test_service_lab_data_set.py` test.
"""

import atexit
import functools
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent


def warm_trainer(module: str) -> str:
    """The command of such a trainer.

    Args:
        module: has the `main` that it runs, e.g. `tests.slow_trainer`.
    """
    return shlex.join([sys.executable, "-I", "-S", str(FOLDER / "client.py"), _server(), module])


@functools.cache
def _server() -> str:
    """Address of the server, which ends with this process."""
    folder = tempfile.TemporaryDirectory(prefix="memgen-warm-")
    address = str(Path(folder.name) / "socket")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMGEN_")}
    # more threads win nothing on a tiny model and cost much beside another process; read when torch is imported
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(FOLDER.parent.parent)}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm_trainer.server", address],
        env=environment,
        stdin=subprocess.DEVNULL,
    )

    def end() -> None:
        server.kill()
        server.wait()
        folder.cleanup()

    atexit.register(end)
    return address
