"""One visit of `memgen doctor`: look, measure the card where that was asked for, tell."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memgen.contract.json_file import Unreadable, read_object
from memgen.doctor import measured
from memgen.doctor.core import examine
from memgen.doctor.finding import ok
from memgen.doctor.hardware import graphics_here
from memgen.doctor.report import Report, report

MOST_BYTES = 2**24  # of a file of measurements


def visit(*, gpu: bool, minutes: float, device: str, serves_only: bool) -> Report:
    """Look at this machine.

    Args:
        gpu: whether to measure the card.
        minutes: after which no measurement begins.
        device: that is measured; another than `cuda` in a reduced form.
        serves_only: whether a machine without torch is as it should be.
    """
    here = graphics_here()
    findings = examine(os.environ, here, serves_only=serves_only)
    card: dict[str, Any] = {}
    if gpu and (here.has_card or device != "cuda"):
        card = measurements(minutes, device, _progress)
        findings += measured.findings(card, minutes)
    elif here.has_card:
        findings.append(ok("card", "not measured; `--gpu` does it"))
    return report(findings, time.time(), card)


def measurements(minutes: float, device: str, say: Callable[[str], object]) -> dict[str, Any]:
    """Measure a card, in a process of its own; returns all measurements by step and name."""
    from memgen.doctor.card.measure import in_a_process

    until = time.time() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="memgen-doctor-") as work:
        file = Path(work) / "card.json"
        words = [str(file), "--until", str(until), "--work", work, "--device", device]
        in_a_process(["memgen.doctor.card", *words], until, say)
        try:
            return read_object(file, MOST_BYTES)
        except Unreadable:
            return {}


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
