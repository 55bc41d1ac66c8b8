"""The pinned baseline as the API shows it."""

from sqlmodel import Session

from backend.api import schemas as s
from backend.services import baseline
from backend.services.surroundings import Surroundings
from backend.views import views


def baseline_out(session: Session, around: Surroundings) -> s.BaselineOut:
    """Which evaluation is pinned, and whether it is still there."""
    run = baseline.pinned_run(session)
    shown = None if run is None else views.runs_out(session, [run], around)[0]
    return s.BaselineOut(run_id=baseline.pinned_id(session), run=shown)
