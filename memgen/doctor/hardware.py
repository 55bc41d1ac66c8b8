"""What this machine computes with, as it is: the one place of doctor that asks a driver and imports torch."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec

from pydantic import ValidationError

from memgen.contract.inheritance import inherited
from memgen.contract.problem import Problem
from memgen.doctor.graphics import Driver, Graphics, Torch, read_driver
from memgen.doctor.installed import installed_version
from memgen.probe import LOOK_AT_DRIVER

NO_DRIVER, HANGS = "no_driver", "driver_hangs"
PROBE_SECONDS = 60.0
KILLED_WITHIN = 2.0  # seconds


def graphics_here() -> Graphics:
    """Ask the driver and torch; a driver that hangs holds up the probe's process alone, and is asked no more."""
    problem = probed([sys.executable, "-m", "memgen", "probe"], PROBE_SECONDS) if find_spec("pynvml") else None
    if problem is not None and problem.code == HANGS:
        return Graphics(Torch(installed_version("torch")), problem=problem)
    if problem is not None and problem.code == NO_DRIVER:
        problem = None
    return Graphics(_torch(), _driver(), problem)


def probed(command: Sequence[str], seconds: float) -> Problem | None:
    """What a process says of the GPUs; None where it finds them well.

    Args:
        command: words of `memgen probe`, or of what stands in for it.
        seconds: until it counts as hanging.
    """
    process = subprocess.Popen(
        command, env=inherited("trainer", os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a sick driver may not even be killed
            process.communicate(timeout=KILLED_WITHIN)
        message = f"the NVIDIA driver does not answer within {seconds:g} s"
        return Problem(code=HANGS, message=message, way_out=LOOK_AT_DRIVER)
    if process.returncode == 0:
        return None
    try:
        return Problem.model_validate_json(output)
    except ValidationError:
        last = (errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        return Problem(code="probe_failed", message=f"`python -m memgen probe` fails: {last}", way_out=LOOK_AT_DRIVER)


def _torch() -> Torch:
    if (number := installed_version("torch")) is None:
        return Torch()
    try:
        import torch

        return Torch(torch.__version__, torch.version.cuda, torch.cuda.device_count())
    except (ImportError, OSError, RuntimeError) as broken:  # a library of CUDA's that is missing, or does not fit
        return Torch(number, trouble=str(broken))


def _driver() -> Driver:
    try:
        import pynvml
    except ImportError:
        return Driver()
    return read_driver(pynvml)
