"""A Python that begins where all imports of the project are done.

Importing torch, transformers, Streamlit and the rest takes longer than most of what the tests let a process do. One
server does it once; a process is then a fork of it, with the arguments, environment, folder, umask and streams of a
small client, which stands for it: the client passes signals on, dies by the same signal or exits with the same code,
and its death is the process's. What the process starts with `sys.executable` in its turn is such a fork as well.

What is kept from a process of its own: SIGSTOP and limits reach the client alone, and a look from outside at children
or environment finds the client's. How services, supervisors, trainers and ranks start and end as processes of their own
is what `tests/faults`, `tests/worker`, `test_service_up_down.py`, `test_service_lab_data_set.py`, and some of
`test_cli.py` and `test_parallel.py` test.
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
ROOT = FOLDER.parent.parent
# the kernel cuts a first line that names an interpreter in a deep folder; a shell reads it whole
HEAD = """#!/bin/sh
'''exec' {python} -IS "$0" "$@"
'''
"""


@functools.cache
def warm_python(python_path: str = str(ROOT)) -> str:
    """Path of the interpreter; its server ends with this process.

    Args:
        python_path: PYTHONPATH of its server.
    """
    folder = tempfile.TemporaryDirectory(prefix="memgen-warm-")
    python = Path(folder.name) / "python"
    python.write_text(HEAD.format(python=shlex.quote(sys.executable)) + (FOLDER / "client.py").read_text())
    python.chmod(0o700)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMGEN_")}
    # more threads win nothing on a tiny model and cost much beside another process; read when torch is imported
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": python_path}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm_python.server", f"{python}.socket"],
        env=environment,
        stdin=subprocess.DEVNULL,
    )

    def end() -> None:
        server.kill()
        server.wait()
        folder.cleanup()

    atexit.register(end)
    return str(python)
