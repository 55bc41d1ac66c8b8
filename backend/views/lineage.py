"""Lineage: which run started from which run's checkpoint."""

from collections.abc import Collection, Sequence

from sqlmodel import Session, col, func, select

from backend.api import schemas as s
from backend.services.descent import ancestors, family, from_outside, with_ancestors
from backend.services.origin import Origin, origins_of
from backend.services.scoring import Scores, can_rescore, newest_scores
from backend.store.models import AddedCheckpoint, Attempt, Checkpoint, PipelineStep, Run, RunEvent
from memgen.contract.stages import trains
from memgen.contract.status import AttemptStatus, Cause, RunStatus

MOST_RUNS = 1000
"""That can be asked for at once, without those that they descend from."""


def lineage(
    session: Session, *, run_id: int | None, pipeline_id: int | None, limit: int, since: int | None
) -> s.LineageOut:
    """Descent of a run's whole family, of a pipeline's runs and their ancestors, or of the newest runs and theirs.

    Args:
        session: a transaction.
        run_id: of a run, or of a checkpoint from outside.
        pipeline_id: of a pipeline; looked at where there is no `run_id`.
        limit: of the newest runs.
        since: `cursor` of an earlier reply: only runs whose history has grown since are told.
    """
    cursor = session.exec(select(func.max(RunEvent.id))).one() or 0
    if since is not None and since > cursor:
        since = None  # of another home, or of runs that are gone
    if run_id is not None:
        wanted = family(session, run_id)
        total = len(wanted)
    elif pipeline_id is not None:
        steps = session.exec(select(PipelineStep.run_id).where(col(PipelineStep.pipeline_id) == pipeline_id))
        wanted = {ancestor.id: ancestor for step in steps for ancestor in ancestors(session, step)}
        total = len(wanted)
    else:
        newest = select(Run).order_by(col(Run.id).desc()).limit(limit)
        found = [] if since == cursor else session.exec(newest).all()  # usually nothing has moved
        wanted = {run.id: run for run in with_ancestors(session, found).values()}
        total = session.exec(select(func.count(col(Run.id)))).one()
    if since is not None:
        moved = set(session.exec(select(RunEvent.run_id).where(col(RunEvent.id) > since).distinct()))
        wanted = {number: run for number, run in wanted.items() if number in moved}
    runs = [wanted[number] for number in sorted(wanted)]
    return s.LineageOut(
        nodes=_nodes(session, runs), outside=_outside(session, run_id, runs), total=total, cursor=cursor
    )


def _nodes(session: Session, runs: Sequence[Run]) -> list[s.LineageNode]:
    """A node for each run, with a few queries for all."""
    numbers = [run.id for run in runs]
    attempts: dict[int, list[s.AttemptBrief]] = {}
    for one in session.exec(select(Attempt).where(col(Attempt.run_id).in_(numbers)).order_by(col(Attempt.number))):
        brief = s.AttemptBrief(
            number=one.number, status=AttemptStatus(one.status), cause=Cause(one.cause) if one.cause else None
        )
        attempts.setdefault(one.run_id, []).append(brief)
    scores, origins = newest_scores(session, runs), origins_of(session, runs)
    parents = {run.parent_id for run in runs if run.parent_id is not None}
    left = select(Checkpoint).where(col(Checkpoint.id).in_({*numbers, *parents}))
    checkpoints = {one.id: one.content_hash for one in session.exec(left)}
    there = {*checkpoints, *session.exec(select(Run.id).where(col(Run.id).in_(parents)))}
    return [
        _node(run, origins[run.id], scores[run.id], attempts.get(run.id, []), checkpoints.get(run.id), there)
        for run in runs
    ]


def _outside(session: Session, number: int | None, runs: list[Run]) -> list[s.OutsideNode]:
    """Checkpoints from outside that the runs started from, or that was asked for."""
    added = from_outside(session, runs)
    asked = session.get(AddedCheckpoint, number) if number is not None else None
    if asked is not None:
        added[asked.id] = asked
    return [
        s.OutsideNode(
            id=one.id, preset=one.preset, data=one.data, note=one.note, name=one.name,
            content_hash=session.get_one(Checkpoint, one.id).content_hash,
        )
        for one in added.values()
    ]  # fmt: skip


def _node(
    run: Run,
    origin: Origin,
    scores: Scores,
    attempts: list[s.AttemptBrief],
    content_hash: str | None,
    there: Collection[int],
) -> s.LineageNode:
    questions, answers = scores.summary.get("num_questions"), not trains(run.stage)
    return s.LineageNode(
        run_id=run.id,
        parent_id=run.parent_id,
        parent_deleted=run.parent_id is not None and run.parent_id not in there,
        stage=run.stage,
        setting=run.setting,
        **vars(origin),
        preset=run.preset,
        data=run.data,
        note=run.note,
        step=run.step,
        pipeline_id=run.pipeline_id,
        status=RunStatus(run.status),
        attempts=attempts,
        accuracy=scores.summary.get("accuracy") if answers else None,
        scorer_mark=f" (scorer {scores.version})" if can_rescore(run, scores.version) else "",
        num_questions=int(questions) if questions is not None and answers else None,
        content_hash=content_hash,
    )
