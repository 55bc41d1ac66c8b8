"""What a trainer's end means: outcome, cause, and what it said last."""

import errno
import json
import platform
import re
import shutil
import signal
from pathlib import Path
from typing import Any, Literal

from backend.schemas import FinishRequest, ProblemItem
from memgen.contract.errors import BadInput
from memgen.contract.events import EVENT_ADAPTER, Failed
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_DONE, EXIT_STOPPED, RunDir
from memgen.contract.status import Cause

TAIL = 256 * 2**10  # bytes of events and log that are looked at
LITTLE_DISK = 32 * 2**20  # bytes; a failure with less is put down to the disk


def judge(exit_code: int, folder: RunDir, *, stop_asked: bool, was_forced: bool) -> FinishRequest:
    """How an attempt ended.

    Args:
        exit_code: of the trainer; negative is minus the signal.
        folder: what it left.
        stop_asked: whether a stop was under way.
        was_forced: whether the supervisor killed it, at the end of a stop's patience or on a forced stop.
    """
    environment = _read(folder.environment)
    result = _read(folder.result)
    said = _last_failure(folder.events)

    def end(
        outcome: Literal["succeeded", "failed", "stopped"],
        cause: Cause,
        failure: ProblemItem | None = None,
        trace: str | None = None,
    ) -> FinishRequest:
        return FinishRequest(
            outcome=outcome,
            cause=cause,
            exit_code=exit_code,
            failure=failure,
            traceback=trace,
            result=result if outcome == "succeeded" else {},
            environment=environment,
        )

    if exit_code == EXIT_DONE and result:
        return end("succeeded", Cause.DONE)
    if exit_code == EXIT_STOPPED or (stop_asked and (was_forced or exit_code in {-signal.SIGTERM, -signal.SIGKILL})):
        return end("stopped", Cause.STOPPED)
    if exit_code > 0 and (full := _full_disk(folder.path)) is not None:  # the log may not hold it any more
        return end("failed", Cause.ERROR, full, said.traceback if said else _last_traceback(folder.log))
    if said is not None and exit_code > 0:
        item = ProblemItem(
            code=said.code, message=said.message, field=said.field, value=said.value, way_out=said.way_out
        )
        known = {"out_of_memory": Cause.OUT_OF_MEMORY, "killed": Cause.KILLED}  # killed: one of several ranks
        cause = known.get(said.code, Cause.ERROR)
        return end("failed", Cause.INVALID_CONFIG if exit_code == EXIT_BAD_INPUT else cause, item, said.traceback)
    if exit_code < 0:
        return end("failed", Cause.KILLED, _killed(-exit_code))
    message = "the trainer said nothing of its result" if exit_code == EXIT_DONE else _last_line(folder.log)
    item = ProblemItem(code="error", message=message, way_out="Look at the log.")
    cause = Cause.INVALID_CONFIG if exit_code == EXIT_BAD_INPUT else Cause.ERROR
    return end("failed", cause, item, _last_traceback(folder.log))


def could_not_start(error: OSError | BadInput, folder: RunDir) -> FinishRequest:
    """An attempt whose folder or trainer the supervisor could not set up."""
    item = ProblemItem(
        code="not_started",
        message=f"The attempt could not be set up on {platform.node()}: {error}",
        way_out="Mend that on the machine, then resume or retry.",
    )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        item = _full_disk(next(path for path in folder.path.parents if path.exists())) or item
    return FinishRequest(outcome="failed", cause=Cause.ERROR, exit_code=None, failure=item)


def _full_disk(folder: Path) -> ProblemItem | None:
    free = shutil.disk_usage(folder).free
    if free >= LITTLE_DISK:
        return None
    return ProblemItem(
        code="disk_full",
        message=f"The trainer failed on a full disk: {free / 1e6:.1f} MB are left where it writes.",
        way_out="Make room, e.g. delete runs, then resume.",
    )


def _killed(number: int) -> ProblemItem:
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    way_out = "Somebody or something on the machine ended it; resume the run."
    if number == signal.SIGKILL:
        way_out = "If nobody killed it, the machine ran out of memory: lower batch_size or the lengths, then resume."
    return ProblemItem(code="killed", message=f"The trainer was killed by signal {number} ({name}).", way_out=way_out)


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data


def _tail(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read().decode("utf-8", errors="replace")


def _last_failure(events: Path) -> Failed | None:
    for line in reversed(_tail(events).splitlines()):
        if '"failed"' in line:
            try:
                event = EVENT_ADAPTER.validate_json(line)
            except ValueError:
                continue
            if isinstance(event, Failed):
                return event
    return None


def _last_line(log: Path) -> str:
    lines = [line for line in _tail(log).splitlines() if line.strip()]
    return lines[-1][:500] if lines else "the trainer ended without a word"


def _last_traceback(log: Path) -> str | None:
    text = _tail(log)
    starts = [match.start() for match in re.finditer(r"^Traceback \(most recent call last\):", text, re.MULTILINE)]
    return text[starts[-1] :][-20_000:] if starts else None
