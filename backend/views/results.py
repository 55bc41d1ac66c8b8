"""Finished evaluations, each with its change against its base."""

from sqlmodel import Session

from backend.api import schemas as s
from backend.services.gains import Gains
from backend.services.surroundings import Surroundings
from backend.store.models import Run
from backend.views import views


def results(
    session: Session, runs: list[Run], gains: Gains, around: Surroundings, *, pinned: Run | None = None
) -> list[s.ResultOut]:
    """As the API shows them, in the given order; measured against `pinned` where they may be, else their bases."""
    changes = changes_of(session, runs, gains, pinned)
    return [s.ResultOut(run=out, gain=changes.get(out.id)) for out in views.runs_out(session, runs, around)]


def changes_of(session: Session, runs: list[Run], gains: Gains, pinned: Run | None = None) -> dict[int, s.GainOut]:
    """By id of an evaluation its change against `pinned` where they compare, else against its base."""
    return {
        run_id: s.GainOut(
            base_id=base_id,
            num_questions=number,
            points=change.points,
            low=change.low,
            high=change.high,
            p_value=change.p_value,
            verdict=change.verdict,
        )
        for run_id, (base_id, number, change) in gains.of(session, runs, pinned).items()
    }
