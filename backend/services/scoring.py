"""Scores of stored answers, by version of the scorer: the trainer's own, and beside them those of later versions.

The trainer's scores stand in `Answer` and `Run.summary` and never change. Rescoring adds a `Scoring` with an
`AnswerScore` per answer; whoever shows a run takes the newest version and says which it is.
"""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import ColumnElement, SQLColumnExpression, and_
from sqlmodel import Session, col, func, select

from backend.errors import Conflict, ServiceError
from backend.services import lifecycle
from backend.store.models import Answer, AnswerScore, Run, Scoring, take_figures
from backend.store.prepared import IDS, among
from memgen.contract.answers import AnswerRecord, scorer_version, with_strict
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput, first_error
from memgen.contract.status import RunStatus
from memgen.scoring import SCORER_VERSIONS, score

log = logging.getLogger(__name__)
PATIENCE_SECONDS = 5.0
_SCORINGS = select(Scoring).where(col(Scoring.run_id).in_(IDS)).order_by(col(Scoring.version))
_rescoring = threading.Lock()


@dataclass(frozen=True)
class Scores:
    """A run's scores by one version: its summary, and where the verdicts of its answers stand."""

    version: int
    summary: dict[str, float]
    rescored: bool
    """Whether they stand in `AnswerScore`, else in `Answer`."""

    @property
    def right(self) -> SQLColumnExpression[bool]:
        """Column that says whether an answer is right."""
        return col(AnswerScore.right) if self.rescored else col(Answer.right)

    @property
    def boxed(self) -> SQLColumnExpression[bool]:
        """Column that says whether an answer has a box."""
        return col(AnswerScore.boxed) if self.rescored else col(Answer.boxed)

    @property
    def beside(self) -> ColumnElement[bool]:
        """Which `AnswerScore` belongs to an `Answer`: the condition of an outer join."""
        return and_(
            col(AnswerScore.run_id) == col(Answer.run_id),
            col(AnswerScore.attempt) == col(Answer.attempt),
            col(AnswerScore.index) == col(Answer.index),
            col(AnswerScore.version) == (self.version if self.rescored else None),
        )


@dataclass(frozen=True)
class Rescored:
    """All answers of a run, scored anew."""

    attempt: int
    metrics: dict[int, dict[str, float]]
    """By place of the question."""


def all_scores(session: Session, run: Run) -> list[Scores]:
    """A run's scores by every version there is, the newest last."""
    if not _can_have_more(run):
        return [_of_the_trainer(run)]
    rows = session.exec(_SCORINGS, params=among([run.id]))
    return [_of_the_trainer(run), *(Scores(row.version, row.summary, True) for row in rows)]


def newest_scores(session: Session, runs: Sequence[Run]) -> dict[int, Scores]:
    """The scores by the newest version of each run, by its id; one query for all."""
    newest = {run.id: _of_the_trainer(run) for run in runs}
    ids = [run.id for run in runs if _can_have_more(run)]
    if not ids:
        return newest
    rows = session.exec(_SCORINGS, params=among(ids))
    return newest | {row.run_id: Scores(row.version, row.summary, True) for row in rows}


def scores_of(session: Session, run: Run, version: int | None) -> Scores:
    """The scores by one version, by the newest where it is None.

    Raises:
        ServiceError: `unknown_scorer_version`.
    """
    scores = all_scores(session, run)
    chosen = next((one for one in scores if one.version == version), None) if version is not None else scores[-1]
    if chosen is None:
        raise ServiceError(
            "unknown_scorer_version",
            f"run {run.id} has no scores by that version of the scorer",
            field="scorer_version",
            value=version,
            way_out=f"There are: {', '.join(str(one.version) for one in scores)}.",
        )
    return chosen


def is_known(run: Run, scores: Scores) -> bool:
    """Whether the version of these scores can be told: not before an evaluation's trainer has reported on itself."""
    return bool(run.setting) and (bool(run.environment) or scores.rescored)


def _can_have_more(run: Run) -> bool:
    """Whether a run may have scores beside its trainer's: an evaluation that has succeeded, which stays so."""
    return bool(run.setting) and run.status == RunStatus.SUCCEEDED


def can_rescore(run: Run, version: int) -> bool:
    """Whether a run whose newest scores are by this version can be scored anew."""
    try:
        return _can_have_more(run) and version < present_version(run)
    except BadInput:
        return False


def present_version(run: Run) -> int:
    """The version by which this backend scores the answers of a run.

    Raises:
        BadInput: `unknown_data`, if the data set is not installed any more: how its answers compare is not known.
    """
    return SCORER_VERSIONS[data_set(run.data).answer]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Held while answers are scored anew: many at once would take all readers from those who want to look at a run.

    Raises:
        Conflict: `rescoring`.
    """
    if not _rescoring.acquire(timeout=PATIENCE_SECONDS):
        raise Conflict("rescoring", "other runs are being scored anew", way_out="Try again in a few seconds.")
    try:
        yield
    finally:
        _rescoring.release()


def rescored(session: Session, run: Run) -> Rescored | None:
    """Score a finished evaluation's answers with this version of the scorer; None where that has been done.

    Takes about a millisecond an answer, so not in the writer's transaction.

    Raises:
        Conflict: `scored_by_newer`.
        BadInput: `unknown_data`, if the data set is not installed any more: how its answers compare is not known.
    """
    newest, present = all_scores(session, run)[-1].version, present_version(run)
    if newest > present:
        raise Conflict(
            "scored_by_newer",
            f"run {run.id} was scored by version {newest} of the scorer, and this backend has version {present}",
            field="run_id",
            value=run.id,
            way_out="Update the backend.",
        )
    if newest == present:
        return None
    attempt = session.exec(select(func.max(Answer.attempt)).where(col(Answer.run_id) == run.id)).one() or 0
    kind = data_set(run.data).answer
    rows = session.exec(
        select(Answer.index, Answer.record).where(col(Answer.run_id) == run.id, col(Answer.attempt) == attempt),
        execution_options={"yield_per": 100},
    )
    answers = ((index, stored_answer(record)) for index, record in rows)
    scored = {index: score(one.completion, one.solution, kind) for index, one in answers if one is not None}
    return Rescored(attempt, scored)


def store(session: Session, run: Run, new: Rescored | None, *, at: float, actor: str = "user") -> None:
    """Store new scores beside those that are there; nothing where another request was faster."""
    before, version = all_scores(session, run)[-1], present_version(run)
    if new is None or before.version >= version:
        return
    count = len(new.metrics)
    names = sorted({name for metrics in new.metrics.values() for name in metrics})
    means = {name: sum(metrics[name] for metrics in new.metrics.values()) / count for name in names}
    summary = run.summary | means
    session.add(Scoring(run_id=run.id, version=version, attempt=new.attempt, summary=summary, created_at=at))
    take_figures(run, summary)
    session.add(run)
    session.add_all(
        AnswerScore(
            run_id=run.id,
            version=version,
            attempt=new.attempt,
            index=index,
            right=metrics["accuracy"] > 0,
            boxed=metrics["format_ok"] > 0,
            metrics=metrics,
        )
        for index, metrics in new.metrics.items()
    )
    was, now = before.summary.get("accuracy"), means.get("accuracy")
    detail = f"scorer version {before.version} -> {version}"
    if was is not None and now is not None:
        detail += f", accuracy {100 * was:.1f} % -> {100 * now:.1f} %"
    lifecycle.note(session, run, "rescored", None, None, actor=actor, at=at, detail=detail)
    session.flush()


def stored_answer(record: str) -> AnswerRecord | None:
    """An answer as it was stored; None, with a word in the log, where today's rules refuse it."""
    try:
        return AnswerRecord.model_validate_json(record)
    except ValidationError as error:
        log.warning("a stored answer can't be shown: %s", first_error(error))
        return None


def with_metrics(record: str, metrics: Mapping[str, float] | None) -> AnswerRecord | None:
    """A stored answer, with a later version's scores in place of the trainer's where there are any.

    None if what is stored can't be read.
    """
    answer = stored_answer(record)
    if answer is None or metrics is None:
        return answer
    return answer.model_copy(update={"metrics": {**answer.metrics, **with_strict(metrics)}})


def _of_the_trainer(run: Run) -> Scores:
    return Scores(scorer_version(run.environment), run.summary, False)
