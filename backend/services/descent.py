"""Descent: which runs a run came from, and which came from it."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from backend.store.models import Run


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


def with_ancestors(session: Session, runs: Sequence[Run]) -> dict[int | None, Run]:
    """Some runs and all that they descend from, by their ids."""
    found: dict[int | None, Run] = {run.id: run for run in runs}
    wanted = {older_parent(run) for run in runs} - {None, *found}
    while wanted:
        generation = session.exec(select(Run).where(col(Run.id).in_(wanted))).all()
        found |= {run.id: run for run in generation}
        wanted = {older_parent(run) for run in generation} - {None, *found}
    return found


def family(session: Session, run_id: int) -> dict[int, Run]:
    """All descendants of a run's oldest ancestor."""
    line = ancestors(session, run_id)
    found = {line[-1].id: line[-1]} if line else {}
    generation = list(found)
    while generation:
        children = [
            child
            for child in session.exec(select(Run).where(col(Run.parent_id).in_(generation)))
            if child.id not in found
        ]
        found |= {child.id: child for child in children}
        generation = [child.id for child in children]
    return found
