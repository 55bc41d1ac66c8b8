"""What evaluations have gained over their base, for lists: computed once for each, as neither changes any more."""

from collections.abc import Sequence
from threading import Lock

from sqlmodel import Session, col, select

from backend.services import evidence
from backend.services.comparable import NotComparable, check_alike, style_of
from backend.services.scoring import Scores, newest_scores
from backend.services.sorting import newest_in_index
from backend.services.verdicts import verdicts
from backend.store.models import Run
from memgen.contract.stages import evaluation_names
from memgen.contract.status import RunStatus

BASE = "base"
MOST_BASES = 50  # of a model and data set that are looked through, newest first
MOST_KEPT = 2000
Key = tuple[object, ...]


class Gains:
    """Changes against bases, with what was computed before."""

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[int, evidence.Change] | None] = {}
        self._lock = Lock()

    def of(
        self, session: Session, runs: Sequence[Run], pinned: Run | None = None
    ) -> dict[int, tuple[int, int, evidence.Change]]:
        """By id of an evaluation that has succeeded: its base, the number of questions that both answered, the change.

        Those that have no base, i.e. none of the same model, questions, prompt and length by the same scorer, are left
        out, and so are bases.

        Args:
            session: a transaction.
            runs: evaluations that have succeeded.
            pinned: one that takes the place of the base wherever it may be compared; bases are then measured, too.
        """
        bases: dict[tuple[str, str], list[Run]] = {}
        scores = newest_scores(session, [*runs, *([pinned] if pinned is not None else [])])
        gains: dict[int, tuple[int, int, evidence.Change]] = {}
        for run in runs:
            base: Run | None = None
            if pinned is not None and run.id == pinned.id:
                continue
            if pinned is not None and _alike(pinned, run, scores):
                base = pinned
            elif run.setting != BASE:
                group = (run.preset, run.data)
                if group not in bases:
                    bases[group] = _bases(session, *group)
                    scores |= newest_scores(session, bases[group])
                base = _base_of(run, bases[group], scores)
            found = self._change(session, run, base, scores) if base is not None else None
            if base is not None and found is not None:
                gains[run.id] = (base.id, *found)
        return gains

    def _change(
        self, session: Session, run: Run, base: Run, scores: dict[int, Scores]
    ) -> tuple[int, evidence.Change] | None:
        key = tuple(item for one in (run, base) for item in (one.id, one.ended_at, scores[one.id].version))
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        before, after = (verdicts(session, one, scores[one.id]) for one in (base, run))
        common = [question for question in before if question in after]
        found = None
        if common:
            rights = ([answers[question].right for question in common] for answers in (before, after))
            found = len(common), evidence.change(*rights)
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = found
        return found


def _bases(session: Session, preset: str, data: str) -> list[Run]:
    """Finished evaluations of a base as it is, newest first."""
    query = select(Run.id).where(
        col(Run.setting) == BASE,
        col(Run.stage).in_(evaluation_names()),
        col(Run.status) == RunStatus.SUCCEEDED,
        col(Run.preset) == preset,
        col(Run.data) == data,
    )
    numbers = list(session.exec(query.order_by(newest_in_index(col(Run.id))).limit(MOST_BASES)))
    rows = session.exec(select(Run).where(col(Run.id).in_(numbers)).order_by(col(Run.id).desc()))
    return [run for run in rows if style_of(run) is None]


def _base_of(run: Run, bases: Sequence[Run], scores: dict[int, Scores]) -> Run | None:
    """The base of the same pipeline, else the newest that it may be compared with."""
    ordered = sorted(bases, key=lambda base: base.pipeline_id is None or base.pipeline_id != run.pipeline_id)
    return next((base for base in ordered if _alike(base, run, scores)), None)


def _alike(base: Run, run: Run, scores: dict[int, Scores]) -> bool:
    if scores[base.id].version != scores[run.id].version:
        return False
    try:
        check_alike(base, run)
    except NotComparable:
        return False
    return True
