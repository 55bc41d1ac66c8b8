"""The pinned baseline: the one evaluation of this home that others are measured against, until it is unpinned."""

from sqlmodel import Session

from backend.services.comparable import evaluation
from backend.store.models import Run, Switch

_NAME, _NOTHING = "baseline", ""


def pinned_id(session: Session) -> int | None:
    """The number of the pinned evaluation, which may have been deleted since; None where none is pinned."""
    switch = session.get(Switch, _NAME)
    return None if switch is None or switch.value == _NOTHING else int(switch.value)


def pinned_run(session: Session) -> Run | None:
    """The pinned evaluation; None where none is pinned, or it is not there any more."""
    number = pinned_id(session)
    return None if number is None else session.get(Run, number)


def pin(session: Session, run_id: int | None) -> None:
    """Measure others against this evaluation from now on; None unpins.

    Raises:
        NotFound: there is no such run.
        NotComparable: it is no evaluation, or has not succeeded.
    """
    if run_id is not None:
        run_id = evaluation(session, run_id).id
    session.merge(Switch(name=_NAME, value=_NOTHING if run_id is None else str(run_id)))
