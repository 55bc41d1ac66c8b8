"""Events: what a trainer says, one JSON line each, appended to `events.jsonl` in the run folder."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from memgen.contract.numbers import Amount, Finite, Line, Paragraph, Time, Whole, Word
from memgen.contract.problem import Problem


class _Event(BaseModel):
    # A reader older than its trainer ignores fields that it does not know.
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    time: Time
    """Seconds since 1970, UTC, by the trainer's clock."""


class Started(_Event):
    """The trainer has read its config."""

    event: Literal["started"] = "started"
    stage: Word
    pid: Whole
    resumed_from: Line | None = None
    """Name of the run folder whose progress was taken over."""


class Phase(_Event):
    """The trainer enters a named part of its work: `data`, `download`, `convert`, `load`, `generate`, ..."""

    event: Literal["phase"] = "phase"
    name: Word
    detail: Line = ""


class Progress(_Event):
    """How far the current phase is."""

    event: Literal["progress"] = "progress"
    done: Amount
    total: Amount | None = None
    unit: Word
    """`questions`, `steps` or `bytes`."""
    detail: Line = ""
    """What is being done right now, e.g. `8 under way`."""


class Metric(_Event):
    """One number of one step."""

    event: Literal["metric"] = "metric"
    name: str = Field(max_length=100)
    """Slash-separated, e.g. `eval/accuracy`."""
    step: Whole
    value: Finite


class Checkpoint(_Event):
    """A checkpoint is complete on disk."""

    event: Literal["checkpoint"] = "checkpoint"
    step: Whole
    path: Line
    """Relative to the run folder."""


class Warned(_Event):
    """Something that the user should know and that does not end the run."""

    event: Literal["warning"] = "warning"
    code: Word
    message: Paragraph


class Alarmed(_Event):
    """A rule of `alarms` has fired: the run learns nothing, or is about to break."""

    event: Literal["alarm"] = "alarm"
    code: Word
    """Of the rule."""
    step: Whole
    fact: Line
    """What was seen."""


class Finished(_Event):
    """The stage is done; the result is also in `result.json`."""

    event: Literal["finished"] = "finished"
    result: dict[str, Whole | Finite | Line | None]


class Failed(_Event, Problem):
    """The stage ends with an error."""

    event: Literal["failed"] = "failed"
    traceback: Paragraph | None = None


Event = Annotated[
    Started | Phase | Progress | Metric | Checkpoint | Warned | Alarmed | Finished | Failed,
    Field(discriminator="event"),
]
EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)
PAST = frozenset({"artifact"})
"""Kinds of events that earlier versions wrote and nobody needs."""


def read_event(line: bytes | str) -> Event | None:
    """The event that a line holds; None for one of a kind in `PAST`.

    Raises:
        ValidationError: it holds no event.
    """
    try:
        return EVENT_ADAPTER.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "union_tag_invalid" and first["ctx"]["tag"] in PAST:
            return None
        raise
