"""What a trainer says while it works: `events.jsonl` for machines, lines or a bar for people.

A failure to write an event must not take down the work: it is said once on standard error. So is an event whose numbers
are out of bounds, and what the terminal's encoding can't show is written as an escape.
"""

import sys
import time
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from memgen.contract import events as ev
from memgen.contract.alarms import Alarm, Watch
from memgen.contract.errors import first_error

MACHINE_SECONDS = 5.0
"""At least, between two readings of the machine."""


class Monitor:
    """Appends events to a run folder and shows progress on a terminal.

    Args:
        path: the events file, or None to write none.
        show: where people read along; a bar if it is a terminal, else plain lines.
        clock: seconds since 1970.
        machine: reads what the machine does, by the names of metrics.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        show: TextIO | None = None,
        clock: Callable[[], float] = time.time,
        machine: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._file = _append_to(path) if path is not None else None
        self._clock = clock
        self._machine = machine
        self._machine_read_at = -MACHINE_SECONDS
        self._out = show or sys.stdout
        self._complained = False
        self._watch: Watch | None = None
        self._on_alarm: Callable[[Alarm], None] = lambda _: None
        self._bar: Bar | None = None
        self._bar_task: TaskID | None = None
        if self._out.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
                TimeRemainingColumn(),
                console=Console(file=self._out),
            )
            self._bar.start()

    def say(self, line: str) -> None:
        """A line for people; it ends up in the log."""
        encoding = self._out.encoding or "utf-8"
        line = line.encode(encoding, "backslashreplace").decode(encoding)
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=self._out, flush=True)

    def phase(self, name: str, detail: str = "") -> None:
        """Enter a named part of the work."""
        self._emit(ev.Phase, name=name, detail=detail)
        self._drop_bar()
        self.say(f"{name}: {detail}" if detail else name)

    def progress(self, done: float, total: float | None, unit: str, detail: str = "") -> None:
        """How far the current phase is."""
        self._emit(ev.Progress, done=done, total=total, unit=unit, detail=detail)
        if self._bar is not None and total:
            if self._bar_task is None:
                self._bar_task = self._bar.add_task("", total=total, unit=unit)
            self._bar.update(self._bar_task, completed=done)

    def watch(self, watch: Watch, on_alarm: Callable[[Alarm], None]) -> None:
        """From now on look at metrics with these rules; `on_alarm` is told of each alarm, after everybody else."""
        self._watch, self._on_alarm = watch, on_alarm

    def metric(self, name: str, step: int, value: float) -> None:
        """One number of one step."""
        self._emit(ev.Metric, name=name, step=step, value=value)
        for alarm in self._watch.see(name, step, value) if self._watch is not None else ():
            self.alarm(alarm)

    def alarm(self, alarm: Alarm) -> None:
        """Say that the run learns nothing, or is about to break."""
        rule = alarm.rule
        self._emit(ev.Alarmed, code=rule.code, step=alarm.step, fact=alarm.fact)
        self.say(f"alarm: {rule.title}. {alarm.fact} {rule.cause} {rule.remedy}")
        self._on_alarm(alarm)

    def machine(self, step: int) -> None:
        """What the machine does at a step; where steps are short, at some of them."""
        now = self._clock()
        if now - self._machine_read_at >= MACHINE_SECONDS:
            self._machine_read_at = now
            for name, value in self._machine().items():
                self.metric(name, step, value)

    def warn(self, code: str, message: str) -> None:
        """Something to know that does not end the run."""
        self._emit(ev.Warned, code=code, message=message)
        self.say(f"warning: {message}")

    def started(self, stage: str, pid: int, resumed_from: str | None) -> None:
        """The config has been read."""
        self._emit(ev.Started, stage=stage, pid=pid, resumed_from=resumed_from)

    def checkpoint(self, step: int, path: str) -> None:
        """A checkpoint that the training can be resumed from is complete; `path` is relative to the run folder."""
        self._emit(ev.Checkpoint, step=step, path=path)
        self.say(f"checkpoint of step {step} saved")

    def tell(self, event: BaseModel) -> None:
        """Append an event of another kind than those of runs."""
        self._write(event)

    def finished(self, result: dict[str, float | int | str | None]) -> None:
        """The stage is done."""
        self._emit(ev.Finished, result=result)

    def failed(self, said: ev.Failed) -> None:
        """The stage ends with an error."""
        self._write(said)

    def close(self) -> None:
        """Leave the terminal as it was found."""
        if self._bar is not None:
            self._bar.stop()
        if self._file is not None:
            self._file.close()

    def _drop_bar(self) -> None:
        if self._bar is not None and self._bar_task is not None:
            self._bar.remove_task(self._bar_task)
            self._bar_task = None

    def _emit(self, event_class: type[ev.Event], /, **fields: Any) -> None:
        try:
            event = event_class(time=self._clock(), **fields)
        except ValidationError as error:
            kind = event_class.model_fields["event"].default
            self._complain(f"an event `{kind}` of {fields.get('name', 'the run')} is left out: {first_error(error)}")
            return
        self._write(event)

    def _write(self, event: BaseModel) -> None:
        if self._file is None:
            return
        try:
            self._file.write(event.model_dump_json().encode() + b"\n")
        except OSError as error:
            self._complain(f"events can't be written: {error}")

    def _complain(self, what: str) -> None:
        if not self._complained:
            self._complained = True
            print(f"warning: {what}", file=sys.stderr, flush=True)


def _append_to(path: Path) -> FileIO:
    """The file, open for further lines; one that was torn when its writer died is ended first."""
    file = path.open("ab", buffering=0)
    if size := file.tell():
        with path.open("rb") as written:
            written.seek(size - 1)
            if written.read() != b"\n":
                file.write(b"\n")
    return file
