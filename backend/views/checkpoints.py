"""Checkpoints as the API shows them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.errors import LARGEST_INTEGER, NotFound
from backend.services.checkpoints import check_files, least_demanding, manifest_of, why_not
from backend.services.origin import origin_of
from backend.store.db import Database
from backend.store.models import Checkpoint, Run
from backend.views.times import when
from memgen.contract.errors import BadInput
from memgen.contract.stage_configs import INSERTION, LENGTHS
from memgen.contract.stages import training_names, trains
from memgen.contract.status import RunStatus


def listed(session: Session, home: Path, child: Mapping[str, Any], *, limit: int) -> list[s.CheckpointOut]:
    """Trainings, newest first, each with why a run like `child` can't start from it.

    Args:
        session: a transaction.
        home: folder of everything.
        child: as of `why_not`.
        limit: most that can be used, and most of the others, so that these crowd none out.
    """
    usable: list[s.CheckpointOut] = []
    others: list[s.CheckpointOut] = []
    for run in session.exec(select(Run).where(col(Run.stage).in_(training_names())).order_by(col(Run.id).desc())):
        problem = why_not(session, run, home, child)
        kept = others if problem else usable
        if len(kept) < limit:
            kept.append(_out(session, run, problem))
        if len(usable) == limit:
            break
    return sorted([*usable, *others], key=lambda out: out.id, reverse=True)


def one(database: Database, checkpoint_id: int, home: Path) -> s.CheckpointOut:
    """A checkpoint with its files checked.

    Raises:
        NotFound: `checkpoint_not_found`.
    """
    with database.read() as session:
        run = session.get(Run, checkpoint_id) if abs(checkpoint_id) <= LARGEST_INTEGER else None
        if run is None or not trains(run.stage):
            raise NotFound(
                "checkpoint_not_found",
                "there is no such checkpoint",
                field="checkpoint_id",
                value=checkpoint_id,
                way_out="GET /api/v1/checkpoints lists them.",
            )
        checkpoint = session.get(Checkpoint, checkpoint_id)
        out = by_itself(session, run, home)
    if checkpoint is None or not out.usable:
        return out
    try:
        check_files(checkpoint, home)
    except BadInput as error:
        return out.model_copy(update={"usable": False, "reason": error.message})
    return out


def by_itself(session: Session, run: Run, home: Path) -> s.CheckpointOut:
    """The checkpoint of a training, usable where the least that a run may ask of it could be had."""
    return _out(session, run, why_not(session, run, home, least_demanding(run)))


def _out(session: Session, run: Run, problem: BadInput | None) -> s.CheckpointOut:
    checkpoint = session.get(Checkpoint, run.id)
    manifest = manifest_of(checkpoint) if checkpoint else None
    settings = {name: run.config[name] for name in (*LENGTHS, *INSERTION) if run.config.get(name) is not None}
    return s.CheckpointOut(
        id=run.id,
        stage=run.stage,
        preset=run.preset,
        data=run.data,
        note=run.note,
        run_status=RunStatus(run.status),
        usable=problem is None,
        reason="" if problem is None else problem.message,
        created_at=when(checkpoint.created_at) if checkpoint else None,
        content_hash=checkpoint.content_hash if checkpoint else None,
        base_model=manifest.base_model if manifest else None,
        trained=list(manifest.trained) if manifest else [],
        ablation=origin_of(session, run).ablation,
        latents=manifest.latents if manifest else settings,
        step=manifest.step if manifest else None,
        parent_id=run.parent_id,
        size_bytes=checkpoint.size_bytes if checkpoint else None,
        folder=run.output if checkpoint else None,
        files=manifest.files if manifest else {},
    )
