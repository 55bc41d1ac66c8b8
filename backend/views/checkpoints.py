"""Checkpoints as the API shows them."""

from collections.abc import Iterator, Mapping
from heapq import merge
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.errors import NotFound
from backend.services.checkpoints import (
    Source,
    check_files,
    least_demanding,
    manifest_of,
    revision_of,
    source_of,
    why_not,
)
from backend.services.descent import is_added
from backend.services.origin import OUTSIDE, origin_of
from backend.store.db import Database
from backend.store.models import AddedCheckpoint, Checkpoint, Run
from backend.views.times import when
from memgen.contract.errors import BadInput
from memgen.contract.manifest import Manifest
from memgen.contract.stage_configs import INSERTION, LENGTHS
from memgen.contract.stages import training_names
from memgen.contract.status import RunStatus
from memgen.contract.weaver_variants import VARIANTS


def listed(session: Session, home: Path, child: Mapping[str, Any], *, limit: int) -> list[s.CheckpointOut]:
    """Trainings and what came from outside, newest first, each with why a run like `child` can't start from it.

    Trainings in the archive are left out.

    Args:
        session: a transaction.
        home: folder of everything.
        child: as of `why_not`.
        limit: most that can be used, and most of the others, so that these crowd none out.
    """
    usable: list[s.CheckpointOut] = []
    others: list[s.CheckpointOut] = []
    query = select(Run).where(col(Run.stage).in_(training_names()), col(Run.archived_at).is_(None))
    trainings = session.exec(query.order_by(col(Run.id).desc()))
    added = session.exec(select(AddedCheckpoint).order_by(col(AddedCheckpoint.id).desc()))
    both: Iterator[Source] = merge(trainings, added, key=lambda one: -one.id)
    for source in both:
        problem = why_not(session, source, home, child)
        kept = others if problem else usable
        if len(kept) < limit:
            kept.append(_out(session, source, problem))
        if len(usable) == limit:
            break
    return sorted([*usable, *others], key=lambda out: out.id, reverse=True)


def one(database: Database, checkpoint_id: int, home: Path) -> s.CheckpointOut:
    """A checkpoint with its files checked.

    Raises:
        NotFound: `checkpoint_not_found`.
    """
    with database.read() as session:
        source = get(session, checkpoint_id)
        checkpoint = session.get(Checkpoint, checkpoint_id)
        out = by_itself(session, source, home)
    if checkpoint is None or not out.usable:
        return out
    try:
        check_files(checkpoint, home)
    except BadInput as error:
        return out.model_copy(update={"usable": False, "reason": error.message})
    return out


def get(session: Session, checkpoint_id: int) -> Source:
    """Where the checkpoint of this id comes from.

    Raises:
        NotFound: `checkpoint_not_found`.
    """
    source = source_of(session, checkpoint_id)
    if source is None:
        raise NotFound(
            "checkpoint_not_found",
            "there is no such checkpoint",
            field="checkpoint_id",
            value=checkpoint_id,
            way_out="GET /api/v1/checkpoints lists them.",
        )
    return source


def by_itself(session: Session, source: Source, home: Path) -> s.CheckpointOut:
    """A checkpoint, usable where the least that a run may ask of it could be had."""
    checkpoint = session.get(Checkpoint, source.id)
    manifest = manifest_of(checkpoint) if checkpoint else None
    return _out(session, source, why_not(session, source, home, least_demanding(source, manifest)))


def _out(session: Session, source: Source, problem: BadInput | None) -> s.CheckpointOut:
    checkpoint = session.get(Checkpoint, source.id)
    manifest = manifest_of(checkpoint) if checkpoint else None
    return s.CheckpointOut(
        id=source.id,
        preset=source.preset,
        data=source.data,
        note=source.note,
        revision=revision_of(source),
        **(_of_training(session, source) if isinstance(source, Run) else _of_outside(source, manifest)),
        kind=manifest.kind if manifest else None,
        usable=problem is None,
        reason="" if problem is None else problem.message,
        created_at=when(checkpoint.created_at) if checkpoint else None,
        content_hash=checkpoint.content_hash if checkpoint else None,
        base_model=manifest.base_model if manifest else None,
        trained=list(manifest.trained) if manifest else [],
        latents=manifest.latents if manifest else _planned_latents(source),
        step=manifest.step if manifest else None,
        size_bytes=checkpoint.size_bytes if checkpoint else None,
        folder=_public_path(source, checkpoint) if checkpoint else None,
        files=manifest.files if manifest else {},
    )


def _of_training(session: Session, run: Run) -> dict[str, Any]:
    return {
        "stage": run.stage,
        "made_by": run.stage,
        "run_status": RunStatus(run.status),
        "ablation": origin_of(session, run).ablation,
        "parent_id": run.parent_id,
        "parent_outside": run.parent_id is not None and is_added(session, run.parent_id),
    }


def _of_outside(added: AddedCheckpoint, manifest: Manifest | None) -> dict[str, Any]:
    return {
        "from_outside": True,
        "stage": "",
        "made_by": f"{OUTSIDE}: {added.name}",
        "run_status": None,
        "ablation": VARIANTS[manifest.weaver_variant].words if manifest else "",
        "parent_id": None,
    }


def _planned_latents(source: Source) -> dict[str, int]:
    """Of a training that has not ended."""
    if not isinstance(source, Run):
        return {}
    return {name: source.config[name] for name in (*LENGTHS, *INSERTION) if source.config.get(name) is not None}


def _public_path(source: Source, checkpoint: Checkpoint) -> str | None:
    return source.output if isinstance(source, Run) else checkpoint.folder
