"""Measurements one after the other: each by itself, with a time of its own, in the file as soon as it ends.

One that fails leaves its traceback and the next begins. One that hangs, or that leaves the GPU unusable, ends the
process; started again, the process goes on after it.
"""

import faulthandler
import gc
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from memgen.contract.rundir import write_json
from memgen.doctor.card.sizes import Sizes
from memgen.doctor.card_words import DONE, ENDED, FAILED, LEFT_OUT, NO_TIME, RUNNING

AGAIN = 75  # exit code: start the process again, the GPU can't be used from this one any more
SHORTEST = 30.0  # seconds that the last measurement may take beyond the end
WITHOUT_GPU = 8 * 2**30  # bytes
LONGEST_TRACEBACK = 3000  # characters


@dataclass
class Bench:
    """Where measurements are kept, and how long they may take.

    Args:
        file: JSON of all measurements, by step and name.
        device: that is measured.
        sizes: of models and batches.
        until: when everything ends, in seconds since 1970.
        work: folder for what is written on the way.
        say: tells a line of how it goes on.
    """

    file: Path
    device: torch.device
    sizes: Sizes
    until: float
    work: Path
    say: Callable[[str], object] = lambda _: None
    step: str = ""
    step_until: float = 0.0
    """When no further measurement of this step begins."""
    _kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file.exists():
            self._kept = json.loads(self.file.read_text(encoding="utf-8"))

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the large models: bfloat16, which is what runs take on a GPU."""
        return torch.bfloat16

    @property
    def total_memory(self) -> int:
        """Bytes of the card; of a CPU, whose reduced form is small, as many as that may plan with."""
        return torch.cuda.mem_get_info()[1] if self.device.type == "cuda" else WITHOUT_GPU

    def begin(self, step: str, share: float) -> None:
        """Enter a step that may have this share of the time that is left."""
        now = time.time()
        self.step, self.step_until = step, now + share * max(0.0, self.until - now)
        self.say(f"== {step}: {self.step_until - now:.0f} s")

    def result(self, step: str, name: str) -> dict[str, Any]:
        """What an earlier measurement gave; empty if there is none."""
        entry = self._kept.get(step, {}).get(name, {})
        return dict(entry.get("result", {}))

    def pending(self, *names: str) -> bool:
        """Whether one of this step's measurements is still to be made: what they share is worth building."""
        return self._has_time() and any(self._state(name) in (None, NO_TIME) for name in names)

    def measure(self, name: str, work: Callable[[], Mapping[str, Any]], limit: float = 60.0) -> None:
        """Make one measurement, unless it was made before or the time is up.

        Args:
            name: of the measurement.
            work: makes it; what it returns is kept.
            limit: seconds after which the process is ended.
        """
        state = self._state(name)
        if state == RUNNING:
            self._keep(name, status=ENDED)
        if state not in (None, NO_TIME):
            return
        if not self._has_time():
            self._keep(name, status=NO_TIME)
            return
        self._keep(name, status=RUNNING)
        began = time.perf_counter()
        limit = min(limit, max(SHORTEST, self.until + SHORTEST - time.time()))
        faulthandler.dump_traceback_later(limit, exit=True, file=sys.stderr)
        try:
            result = dict(work())
            synchronize(self.device)
            self._keep(name, status=DONE, seconds=time.perf_counter() - began, result=result)
        except Exception as error:  # whatever it is, the other measurements are wanted
            text = traceback.format_exc()[-LONGEST_TRACEBACK:]
            said = f"{type(error).__name__}: {error}"[:500]
            self._keep(name, status=FAILED, seconds=time.perf_counter() - began, error=said, traceback=text)
        finally:
            faulthandler.cancel_dump_traceback_later()
        self._clean_up()

    def leave_out(self, *names: str, why: str) -> None:
        """Keep of measurements that they can't be made on this device, and why."""
        for name in names:
            if self._state(name) is None:
                self._keep(name, status=LEFT_OUT, error=why)

    def attempt(self, step: Callable[["Bench"], None]) -> None:
        """Go through the step that was begun; if what its measurements share can't be made, the next step begins."""
        try:
            step(self)
        except Exception:
            self._keep("all", status=FAILED, error=traceback.format_exc()[-LONGEST_TRACEBACK:])
        self._clean_up()

    def _state(self, name: str) -> str | None:
        status: str | None = self._kept.get(self.step, {}).get(name, {}).get("status")
        return status

    def _has_time(self) -> bool:
        return time.time() < min(self.step_until, self.until)

    def _keep(self, name: str, **entry: Any) -> None:
        self._kept.setdefault(self.step, {})[name] = entry
        write_json(self.file, self._kept)
        if entry["status"] != RUNNING:
            told = json.dumps(entry.get("result", entry.get("error", "")))[:300]
            self.say(f"{self.step}/{name}: {entry['status']} {entry.get('seconds', 0.0):.1f} s {told}")

    def _clean_up(self) -> None:
        gc.collect()
        if self.device.type != "cuda":
            return
        try:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        except RuntimeError:  # an illegal access stays with the process
            raise SystemExit(AGAIN) from None


def synchronize(device: torch.device) -> None:
    """Wait for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(device: torch.device, work: Callable[[], object], *, repeat: int = 1) -> float:
    """Seconds of one call, a mean over `repeat` of them."""
    synchronize(device)
    began = time.perf_counter()
    for _ in range(repeat):
        work()
    synchronize(device)
    return (time.perf_counter() - began) / repeat
