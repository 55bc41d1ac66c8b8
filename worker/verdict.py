"""What a trainer's end means: outcome, cause, and what it said last."""

import errno
import json
import math
import os
import re
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from backend.api.schemas import FinishRequest
from memgen.contract import ways_out
from memgen.contract.errors import BadInput
from memgen.contract.events import Failed, read_event
from memgen.contract.machine import machine_name
from memgen.contract.manifest import CheckpointReport, survey
from memgen.contract.plain_file import kind_of, open_plain
from memgen.contract.problem import Problem
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_DONE, EXIT_STOPPED, RunDir
from memgen.contract.stages import trains
from memgen.contract.status import CAUSE_OF_CODE, Cause

TAIL = 256 * 2**10  # bytes of events and log that are looked at
LARGEST_JSON = 64 * 2**10  # bytes of a result or an environment: both are a page of numbers and names
DEEPEST_JSON = 8  # levels of them
LONGEST_TRACE = 20_000  # characters
LITTLE_DISK = 32 * 2**20  # bytes; a failure with less is put down to the disk


def judge(
    exit_code: int, folder: RunDir, *, stop_asked: bool, was_forced: bool, unreported: Sequence[str] = ()
) -> FinishRequest:
    """How an attempt ended. Whatever lies in its folder, there is a verdict.

    Args:
        exit_code: of the trainer; negative is minus the signal.
        folder: what it left.
        stop_asked: whether a stop was under way.
        was_forced: whether the supervisor killed it, at the end of a stop's patience or on a forced stop.
        unreported: why files of the folder could not be reported.
    """
    flaws = list(unreported)
    environment = _read(folder.environment, flaws)
    result = _read(folder.result, flaws)
    if (kind := kind_of(folder.output)) != "folder" and (kind or result):
        flaws.append(f"{folder.output.name} is {f'a {kind}, not a folder' if kind else 'missing'}")
    report = _survey(folder, flaws) if exit_code == EXIT_DONE and result and not flaws else None
    said = _last_failure(folder.events)

    def end(
        outcome: Literal["succeeded", "failed", "stopped"],
        cause: Cause,
        failure: Problem | None = None,
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
            checkpoint=report if outcome == "succeeded" else None,
        )

    if exit_code == EXIT_DONE and flaws:
        item = Problem(
            code="bad_run_folder",
            message=f"What the trainer left can't be used: {'; '.join(flaws)}",
            way_out="Look at the log, then retry.",
        )
        return end("failed", Cause.ERROR, item)
    if exit_code == EXIT_DONE and result:
        return end("succeeded", Cause.DONE)
    if exit_code == EXIT_STOPPED or (stop_asked and (was_forced or exit_code in {-signal.SIGTERM, -signal.SIGKILL})):
        return end("stopped", Cause.STOPPED)
    if exit_code > 0 and (full := _full_disk(folder.path)) is not None:  # the log may not hold it any more
        return end("failed", Cause.ERROR, full, _cut(said.traceback) if said else _last_traceback(folder.log))
    if said is not None and exit_code > 0:
        cause = CAUSE_OF_CODE.get(said.code, Cause.INVALID_CONFIG if exit_code == EXIT_BAD_INPUT else Cause.ERROR)
        return end("failed", cause, said, _cut(said.traceback))
    if exit_code < 0:
        return end("failed", Cause.KILLED, _killed(-exit_code))
    message = "the trainer said nothing of its result" if exit_code == EXIT_DONE else _last_line(folder.log)
    item = Problem(code="error", message=message, way_out="Look at the log.")
    cause = Cause.INVALID_CONFIG if exit_code == EXIT_BAD_INPUT else Cause.ERROR
    return end("failed", cause, item, _last_traceback(folder.log))


def unheard(exit_code: int, error: Exception) -> FinishRequest:
    """An attempt whose end can't be told in full: the backend refuses the report, or the folder defies reading."""
    item = Problem(
        code="unreadable_end",
        message=f"The end of the trainer can't be reported: {error}",
        way_out="Look at the attempt's folder.",
    )
    return FinishRequest(outcome="failed", cause=Cause.ERROR, exit_code=exit_code, failure=item)


def card_failed(verdict: FinishRequest, reason: Problem, slot: str) -> FinishRequest:
    """The end of an attempt after which the slot's GPUs do not work."""
    said = f" The trainer said: {verdict.failure.message}" if verdict.failure is not None else ""
    item = Problem(
        code="card_failed",
        message=f"The GPUs of slot {slot} of {machine_name()} stopped working: {reason.message.rstrip('.')}.{said}",
        way_out=reason.way_out,
    )
    return verdict.model_copy(update={"cause": Cause.CARD, "failure": item})


def not_handed_in(verdict: FinishRequest, problem: Exception) -> FinishRequest:
    """The end of a training whose checkpoint the backend can't have."""
    item = Problem(
        code="bad_run_folder",
        message=f"The training has ended on {machine_name()}, but its checkpoint can't be handed in: {problem}",
        way_out="Look at the attempt's folder on that machine, then resume or retry.",
    )
    changes = {"outcome": "failed", "cause": Cause.ERROR, "failure": item, "checkpoint": None, "result": {}}
    return verdict.model_copy(update=changes)


def could_not_start(error: OSError | BadInput, folder: RunDir) -> FinishRequest:
    """An attempt whose folder or trainer the supervisor could not set up."""
    item = Problem(
        code="not_started",
        message=f"The attempt could not be set up on {machine_name()}: {error}",
        way_out="Mend that on the machine, then resume or retry.",
    )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        item = _full_disk(next(path for path in folder.path.parents if path.exists())) or item
    return FinishRequest(outcome="failed", cause=Cause.ERROR, exit_code=None, failure=item)


def _full_disk(folder: Path) -> Problem | None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:  # the trainer removed its folder
        return None
    if free >= LITTLE_DISK:
        return None
    return Problem(
        code="disk_full",
        message=f"The trainer failed on a full disk: {free / 1e6:.1f} MB are left where it writes.",
        way_out="Make room, e.g. delete runs, then resume.",
    )


def _killed(number: int) -> Problem:
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    return Problem(
        code="killed",
        message=f"The trainer was killed by signal {number} ({name}).",
        way_out=ways_out.of_signal(number),
    )


def _survey(folder: RunDir, flaws: list[str]) -> CheckpointReport | None:
    """What a training has left; None for an evaluation, or where it can't be used, which `flaws` then tells."""
    if not trains(folder.stage):
        return None
    try:
        return survey(folder.output)
    except BadInput as error:
        flaws.append(f"in {folder.output.name}: {error.message}")
    return None


def _cut(trace: str | None) -> str | None:
    return trace and trace[-LONGEST_TRACE:]


def _read(path: Path, flaws: list[str]) -> dict[str, Any]:
    """A JSON object that a report can carry; empty where it is not there or can't be used, which `flaws` then tells."""
    try:
        with open_plain(path) as file:
            text = file.read(LARGEST_JSON + 1)
        if len(text) > LARGEST_JSON:
            raise ValueError(f"it is longer than {LARGEST_JSON // 2**10} kB")
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("it is no JSON object")
        _check_values(data, DEEPEST_JSON)
    except FileNotFoundError:
        return {}
    except RecursionError:
        flaws.append(f"{path.name} can't be read: it is nested too deep")
    except OSError as error:
        flaws.append(f"{path.name} can't be read: {error.strerror}")
    except ValueError as error:
        flaws.append(f"{path.name} can't be read: {str(error)[:200]}")
    else:
        return data
    return {}


def _check_values(value: object, levels: int) -> None:
    """Refuse what JSON between programs can't carry.

    Raises:
        ValueError: nested too deep, no number, or text that is no Unicode.
    """
    if levels == 0:
        raise ValueError("it is nested too deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"it holds {value}, which is no number")
    if isinstance(value, str):
        value.encode()  # a lone surrogate has no UTF-8
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_values(name, levels)
            _check_values(inner, levels - 1)
    if isinstance(value, list):
        for inner in value:
            _check_values(inner, levels - 1)


def _tail(path: Path) -> str:
    try:
        with open_plain(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read(TAIL).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _last_failure(events: Path) -> Failed | None:
    for line in reversed(_tail(events).split("\n")):  # other line ends may stand in a message
        if '"failed"' in line:
            try:
                event = read_event(line)
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
    return _cut(text[starts[-1] :]) if starts else None
