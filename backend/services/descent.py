"""Descent: which runs a run came from, and which came from it."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from backend.errors import LARGEST_INTEGER
from backend.store.models import AddedCheckpoint, Run
from backend.store.prepared import IDS, among

_ADDED = select(AddedCheckpoint).where(col(AddedCheckpoint.id).in_(IDS))
_RUNS = select(Run).where(col(Run.id).in_(IDS))


def older_parent(run: Run) -> int | None:
    """The id of a run's parent, which is always the lower one: a row that says otherwise would lead in circles."""
    return run.parent_id if run.parent_id is not None and run.parent_id < run.id else None


def ancestors(session: Session, run_id: int | None) -> list[Run]:
    """A run and what it descends from, itself first."""
    found: list[Run] = []
    while run_id is not None:
        run = session.get(Run, run_id)
        if run is None:
            break
        found.append(run)
        run_id = older_parent(run)
    return found


def is_added(session: Session, number: int) -> bool:
    """Whether a checkpoint from outside has this number."""
    return abs(number) <= LARGEST_INTEGER and session.get(AddedCheckpoint, number) is not None


def from_outside(session: Session, runs: Sequence[Run]) -> dict[int, AddedCheckpoint]:
    """By their ids the checkpoints from outside that some of these runs started from."""
    parents = {run.parent_id for run in runs if run.parent_id is not None} - {run.id for run in runs}
    if not parents:
        return {}
    return {one.id: one for one in session.exec(_ADDED, params=among(parents))}


def with_ancestors(session: Session, runs: Sequence[Run]) -> dict[int | None, Run]:
    """Some runs and all that they descend from, by their ids."""
    found: dict[int | None, Run] = {run.id: run for run in runs}
    wanted = {older_parent(run) for run in runs} - {None, *found}
    while wanted:
        generation = session.exec(_RUNS, params=among(wanted)).all()
        found |= {run.id: run for run in generation}
        wanted = {older_parent(run) for run in generation} - {None, *found}
    return found


def family(session: Session, number: int) -> dict[int, Run]:
    """All descendants of the oldest ancestor of a run, or of the checkpoint from outside that this one started from.

    Args:
        session: a transaction.
        number: of a run, or of a checkpoint from outside.
    """
    line = ancestors(session, number)
    found = {line[-1].id: line[-1]} if line else {}
    above = older_parent(line[-1]) if line else number
    generation = list(found)
    if above is not None and is_added(session, above):
        generation.append(above)
    while generation:
        children = [
            child
            for child in session.exec(select(Run).where(col(Run.parent_id).in_(generation)))
            if child.id not in found
        ]
        found |= {child.id: child for child in children}
        generation = [child.id for child in children]
    return found
