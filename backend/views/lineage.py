"""Lineage: which run started from which run's checkpoint."""

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.services.descent import ancestors, family, from_outside
from backend.services.origin import Origin, origins_of
from backend.services.scoring import Scores, can_rescore, newest_scores
from backend.store.models import AddedCheckpoint, Attempt, Checkpoint, PipelineStep, Run
from memgen.contract.stages import trains
from memgen.contract.status import AttemptStatus, Cause, RunStatus

MOST_RUNS = 500


def lineage(session: Session, *, run_id: int | None, pipeline_id: int | None) -> s.LineageOut:
    """Descent of a run's whole family, of a pipeline's runs and their ancestors, or of the newest runs."""
    if run_id is not None:
        found = family(session, run_id)
    elif pipeline_id is not None:
        steps = session.exec(select(PipelineStep.run_id).where(col(PipelineStep.pipeline_id) == pipeline_id))
        found = {ancestor.id: ancestor for step in steps for ancestor in ancestors(session, step)}
    else:
        newest = session.exec(select(Run).order_by(col(Run.id).desc()).limit(MOST_RUNS))
        found = {run.id: run for run in newest}
    runs = [found[key] for key in sorted(found, key=lambda key: key or 0)]
    attempts: dict[int, list[s.AttemptBrief]] = {}
    query = select(Attempt).where(col(Attempt.run_id).in_([run.id for run in runs])).order_by(col(Attempt.number))
    for one in session.exec(query):
        brief = s.AttemptBrief(
            number=one.number, status=AttemptStatus(one.status), cause=Cause(one.cause) if one.cause else None
        )
        attempts.setdefault(one.run_id, []).append(brief)
    scores = newest_scores(session, runs)
    origins = origins_of(session, runs)
    nodes = [_node(session, run, origins[run.id], scores[run.id], attempts.get(run.id, [])) for run in runs]
    return s.LineageOut(nodes=nodes, outside=_outside(session, run_id, runs))


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


def _is_gone(session: Session, number: int) -> bool:
    return session.get(Run, number) is None and session.get(Checkpoint, number) is None


def _node(session: Session, run: Run, origin: Origin, scores: Scores, attempts: list[s.AttemptBrief]) -> s.LineageNode:
    checkpoint = session.get(Checkpoint, run.id)
    questions, answers = scores.summary.get("num_questions"), not trains(run.stage)
    return s.LineageNode(
        run_id=run.id,
        parent_id=run.parent_id,
        parent_deleted=run.parent_id is not None and _is_gone(session, run.parent_id),
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
        content_hash=checkpoint.content_hash if checkpoint else None,
    )
