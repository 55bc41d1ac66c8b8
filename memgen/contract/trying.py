"""Trying checkpoints out: columns that answer the same questions, what their trainer is asked, and what it says.

A column is the config of an evaluation: whatever can be measured can be asked. A session is no run. It has no result,
no output and nothing to resume, it may start from four checkpoints, and it gives way to every run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from memgen.contract import events as ev
from memgen.contract.answers import AnswerRecord, LtpoTrace
from memgen.contract.causal_check import WholeCheck
from memgen.contract.config import InvalidConfig, RunConfig, parse_config
from memgen.contract.errors import BadInput
from memgen.contract.numbers import Time, Whole
from memgen.contract.problem import Problem
from memgen.contract.rollouts import Decided
from memgen.contract.rundir import RunDir
from memgen.contract.service_files import try_dir
from memgen.contract.stages import stage_of

MOST_COLUMNS = 4
MOST_UNDER_WAY = 3
"""Questions of a session that wait for an answer."""
MOST_ASKED = 500
"""Questions of a session."""
LONGEST_QUESTION, LONGEST_SOLUTION = 8_000, 20_000
"""Characters."""
MOST_POINTS = 100
"""Decision points that a change speaks of."""
LAST_ANSWER_SECONDS = 25.0
"""Time that an answer under way has when the session is to end."""


class _Said(BaseModel):
    # A reader older than its trainer ignores fields that it does not know.
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Change(_Said):
    """What a column does otherwise in one answer than its config says."""

    leave_out: list[Whole] = Field(default_factory=list, max_length=MOST_POINTS)
    """Completion tokens in front of which no latents are inserted, whatever was decided; 0 is the end of the prompt."""
    force: list[Whole] = Field(default_factory=list, max_length=MOST_POINTS)
    """Completion tokens in front of which latents are inserted, though it was decided otherwise."""
    causal_check: WholeCheck | None = None
    """What is inserted in the place of the weaver's latents, as in an evaluation with this causal check."""
    temperature: float | None = Field(default=None, gt=0, le=10)
    """Tokens are drawn at this temperature; null is greedy."""
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    """Of what is drawn."""


class TryQuestion(_Said):
    """A question to all columns of a session, or once more to one of them with a change."""

    number: int = Field(ge=1, le=2**31)
    """Its place in the session; 1 is the first."""
    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    """The text that goes into the prompt."""
    solution: str | None = Field(default=None, max_length=LONGEST_SOLUTION)
    """What answers are scored against; None where nobody knows."""
    column: Whole | None = None
    """Place of the only column that answers it; None for all."""
    change: Change | None = None
    """What that column does otherwise."""


class SessionConfig(_Said):
    """What a session's trainer loads."""

    columns: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_COLUMNS)
    """Configs of evaluations."""
    checkpoints: dict[str, str] = Field(default_factory=dict)
    """Folders of the checkpoints that they name, seen from the home."""


class _OfAnswer(_Said):
    time: Time
    """Seconds since 1970, UTC, by the trainer's clock."""
    question: Whole
    """Number of the question."""
    column: Whole
    """Place of the column."""


class Loaded(_Said):
    """All columns are loaded: questions are answered from now on."""

    event: Literal["loaded"] = "loaded"
    time: Time


class Grown(_OfAnswer):
    """An answer has begun, or goes on."""

    event: Literal["grown"] = "grown"
    start: Whole
    """Characters of the answer so far that stay."""
    text: str
    """What stands after them now."""
    tokens: Whole
    """Of the answer so far."""
    points: list[Decided] = Field(default_factory=list)
    """All decision points so far."""
    ltpo: list[LtpoTrace] | None = None
    """A trace per insertion so far, where latents are optimised."""


class Answered(_OfAnswer):
    """An answer is complete."""

    event: Literal["answered"] = "answered"
    record: AnswerRecord
    """As an evaluation's answer file would have it; without scores where no solution is known."""
    points: list[Decided] = Field(default_factory=list)
    extracted: str | None = None
    """The answer that was found in the text; None where it gives none."""
    first_token_seconds: float | None = None
    """From the beginning of the answer to its first token."""


class Unanswered(_OfAnswer):
    """A column can't answer a question, or the session ends before it has."""

    event: Literal["unanswered"] = "unanswered"
    problem: Problem


SessionEvent = Annotated[
    Loaded | Grown | Answered | Unanswered | ev.Phase | ev.Progress | ev.Warned | ev.Failed,
    Field(discriminator="event"),
]
_ADAPTER: TypeAdapter[SessionEvent] = TypeAdapter(SessionEvent)


def boxed(solution: str) -> str | None:
    """What answers are scored against: an answer alone gets the box that it stands in for scorers; None for nothing."""
    text = solution.strip()
    return None if not text else text if "\\boxed" in text else f"\\boxed{{{text}}}"


def read_session_event(line: bytes | str) -> SessionEvent:
    """The event that a line holds.

    Raises:
        ValidationError: it holds none.
    """
    return _ADAPTER.validate_json(line)


@dataclass(frozen=True)
class SessionDir:
    """The folder of a session: what its supervisor tells the trainer, and what that says."""

    path: Path

    @property
    def run_dir(self) -> RunDir:
        """The same folder by the names that it shares with a run's: events, log, weights, stop request."""
        return RunDir(self.path)

    @property
    def config(self) -> Path:
        """What is to be loaded."""
        return self.path / "session.json"

    @property
    def first_column(self) -> Path:
        """Config of the first column, whose weights are those of all."""
        return self.path / "config.json"

    def question(self, number: int) -> Path:
        """A question that was asked."""
        return self.path / "questions" / f"{number}.json"

    def next_question(self, after: int) -> Path | None:
        """The question that follows a number; None until it is asked."""
        path = self.question(after + 1)
        return path if path.exists() else None


def session_dir(home: Path, session_id: int) -> SessionDir:
    """Folder of a session."""
    return SessionDir(try_dir(home) / str(session_id))


def parse_columns(columns: Sequence[Mapping[str, Any]]) -> list[RunConfig]:
    """The configs of a session's columns.

    Raises:
        InvalidConfig: one can't be used, by the field `columns.PLACE.FIELD`; or they are too many, or of several bases.
    """
    if not 1 <= len(columns) <= MOST_COLUMNS:
        raise InvalidConfig(
            [
                BadInput(
                    "bad_columns",
                    f"a session has 1 to {MOST_COLUMNS} columns",
                    field="columns",
                    value=len(columns),
                    way_out=f"Choose up to {MOST_COLUMNS}.",
                )
            ]
        )
    problems: list[BadInput] = []
    parsed: list[RunConfig] = []
    for place, column in enumerate(columns):
        try:
            parsed.append(_askable(parse_config(column)))
        except InvalidConfig as error:
            problems += [one.at(".".join(filter(None, ("columns", str(place), one.field)))) for one in error.problems]
    if not problems:
        problems = _apart(parsed)
    if problems:
        raise InvalidConfig(problems)
    return parsed


def _askable(config: RunConfig) -> RunConfig:
    if stage_of(config).recipe is None:
        raise InvalidConfig(
            [
                BadInput(
                    "not_askable",
                    "runs of this stage answer no single question",
                    field="stage",
                    value=config.stage,
                    way_out="Choose the config of an evaluation.",
                )
            ]
        )
    return config


def _apart(columns: Sequence[RunConfig]) -> list[BadInput]:
    """That columns are not of one base, whose weights are loaded once."""
    first = columns[0]
    return [
        BadInput(
            "several_bases",
            f"all columns of a session share one base, and column 1 has {getattr(first, name)}",
            field=f"columns.{place}.{name}",
            value=getattr(column, name),
            way_out="Choose the same, or open another session.",
        )
        for place, column in enumerate(columns)
        for name in ("preset", "revision", "dtype")
        if getattr(column, name) != getattr(first, name)
    ]
