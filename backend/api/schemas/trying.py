"""Trying checkpoints out: sessions, their questions, and what columns answer."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, StrictBool

from backend.api.schemas.base import NOTE_LENGTH, ApiReply, ApiRequest
from memgen.contract.answers import AnswerRecord, LtpoTrace
from memgen.contract.data_sets.registered import NAME, SHORT_NAME
from memgen.contract.data_sets.report import Report
from memgen.contract.problem import Problem
from memgen.contract.rollouts import Decided
from memgen.contract.status import StopMode
from memgen.contract.trying import LONGEST_QUESTION, LONGEST_SOLUTION, MOST_ASKED, MOST_COLUMNS, Change, TryQuestion


class TryStatus(StrEnum):
    """Where a session is in its life."""

    QUEUED = "queued"
    LOADING = "loading"
    READY = "ready"
    ENDING = "ending"
    ENDED = "ended"


class TryEnd(StrEnum):
    """Why a session ends."""

    CLOSED = "closed"
    IDLE = "idle"
    LEFT = "left"
    GAVE_WAY = "gave_way"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"


END_TEXT = {
    TryEnd.CLOSED: "It was closed.",
    TryEnd.IDLE: "Nobody has asked anything for a while.",
    TryEnd.LEFT: "Nobody has looked at it any more.",
    TryEnd.GAVE_WAY: "A queued run needs its slot.",
    TryEnd.STOPPED: "Its worker was stopped.",
    TryEnd.FAILED: "It failed.",
    TryEnd.LOST: "Its worker was not heard of any more.",
}
"""Each end in a sentence."""


class TryCreate(ApiRequest):
    """What is to be tried: the columns themselves, or a checkpoint, whose usual columns are taken."""

    columns: list[dict[str, Any]] = Field(default_factory=list, max_length=MOST_COLUMNS)
    """Configs of evaluations of one base, e.g. those of runs; checkpoints are named by their ids."""
    checkpoint: int | None = None
    """Instead of columns: the base, and every usual setting that this checkpoint is good for."""
    shared: dict[str, Any] = Field(default_factory=dict, max_length=50)
    """Fields that all of a checkpoint's columns have, where they know them, e.g. `data`."""
    note: str = Field(default="", max_length=NOTE_LENGTH)


class TryAsk(ApiRequest):
    """A question to all columns, or to one of them with a change."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    solution: str | None = Field(default=None, max_length=LONGEST_SOLUTION)
    r"""What answers are scored against, e.g. `\boxed{42}`; empty where nobody knows."""
    column: int | None = Field(default=None, ge=0, lt=MOST_COLUMNS)
    """Place of the only column that is to answer; empty for all."""
    change: Change | None = None
    """What that column does otherwise: insertions left out or forced, tokens drawn."""


class TryKeep(ApiRequest):
    """Whether a session is kept as a record after its end."""

    kept: StrictBool


class TryRow(ApiRequest):
    """A question of a session that goes into a data set."""

    number: int = Field(ge=1, le=MOST_ASKED)
    """Its place in the session."""
    solution: str | None = Field(default=None, max_length=LONGEST_SOLUTION)
    """What is right, in the place of what it was asked with; null leaves that as it is."""


class TryDataSet(ApiRequest):
    """Questions of a session that become the test split of a data set."""

    name: str = Field(max_length=SHORT_NAME, pattern=NAME)
    """Short name: small letters, digits, `-` and `_`. The version is appended to it."""
    rows: list[TryRow] | None = Field(default=None, min_length=1, max_length=MOST_ASKED)
    """Null takes all questions. One that was asked several times counts once."""
    data: str | None = Field(default=None, max_length=60)
    """Data set of a column, whose prompt and kind of answer carry over; null where all columns have the same."""


class TryDataSetOut(ApiReply):
    """What has become of the questions."""

    report: Report
    """Of the rows, as of any others that are registered; its name is what configs say."""
    without_answer: list[int]
    """Questions that were left out: nobody has said what is right, so no answer can be scored."""
    repeats: list[int]
    """Questions that were asked again, and count once."""
    tells: str
    """In a sentence: what so many questions can and can't tell."""


class TryColumnOut(ApiReply):
    """A column."""

    place: int
    label: str
    """What it measures: `base`, `weaver+trigger`, ..."""
    checkpoint: int | None
    config: dict[str, Any]


class TryAnswerOut(ApiReply):
    """What a column answers, as far as it has come."""

    place: int
    """Of the column."""
    status: Literal["waiting", "answering", "answered", "failed"]
    text: str
    tokens: int
    points: list[Decided]
    """Decision points so far."""
    ltpo: list[LtpoTrace] | None
    """A trace per insertion so far, where latents are optimised."""
    record: AnswerRecord | None
    """Once it is complete: the answer as an evaluation's answer file would have it."""
    extracted: str | None
    """The answer that was found in the text."""
    first_token_seconds: float | None
    """From the beginning of the answer to its first token."""
    failure: Problem | None


class TryAskedOut(ApiReply):
    """A question with the answers of its columns."""

    number: int
    question: str
    solution: str | None
    column: int | None
    """Place of the only column that answers; null for all."""
    change: Change | None
    """What that column does otherwise."""
    asked_at: datetime
    answers: list[TryAnswerOut]


class TrySessionOut(ApiReply):
    """A session in short."""

    id: int
    note: str
    preset: str
    columns: list[TryColumnOut]
    status: TryStatus
    end: TryEnd | None
    """Why it ends or has ended."""
    says: str
    """In a sentence: what it waits for, how far it is, or why it ends."""
    gives_way_to: int | None
    """The run that needs its slot."""
    failure: Problem | None
    traceback: str | None
    created_at: datetime
    loaded_at: datetime | None
    ended_at: datetime | None
    idle_seconds_left: float | None
    """Until it ends if nothing is asked; null while it does not count."""
    worker: str | None
    slot: str | None
    kept: bool
    num_asked: int
    version: int
    """Grows with each change."""


class TrySessionDetail(TrySessionOut):
    """A session with its questions."""

    asked: list[TryAskedOut]


class TrySessionList(ApiReply):
    """Sessions, newest first."""

    items: list[TrySessionOut]
    next_cursor: str | None = None


class ClaimedSession(ApiReply):
    """A session to hold, and the right to report on it."""

    session_id: int
    token: str
    columns: list[dict[str, Any]]
    checkpoints: dict[str, str]
    """Folders of the checkpoints that the columns name, seen from the home."""
    spread: bool
    """Whether its base is spread over all GPUs of the slot; else it has the first one alone."""
    lease_seconds: float
    beat_seconds: float
    stop_grace_seconds: float


class SessionBeatReply(ApiReply):
    """What a session's supervisor must know."""

    stop: StopMode | None
    questions: list[TryQuestion]
    """Those that have no answer of every column yet, first to last."""
