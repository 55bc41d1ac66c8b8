"""Checkpoints as the API shows them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, true
from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.errors import NotFound
from backend.services.checkpoints import (
    Source,
    check_files,
    least_demanding,
    manifest_of,
    not_finished,
    revision_of,
    source_of,
    why_not,
)
from backend.services.descent import from_outside
from backend.services.origin import OUTSIDE, Origin, origins_of
from backend.services.sorting import newest_in_index
from backend.store.db import Database
from backend.store.models import AddedCheckpoint, Checkpoint, Run
from backend.views.times import when
from memgen.contract.errors import BadInput
from memgen.contract.manifest import Manifest
from memgen.contract.stage_configs import INSERTION, LENGTHS
from memgen.contract.stages import training_names
from memgen.contract.status import RunStatus
from memgen.contract.weaver_variants import VARIANTS

PART = 200  # checkpoints that are looked at before more are loaded


def listed(
    session: Session, home: Path, child: Mapping[str, Any], *, limit: int, also: Collection[int] = ()
) -> list[s.CheckpointOut]:
    """Trainings and what came from outside, newest first, each with why a run like `child` can't start from it.

    Trainings in the archive are left out.

    Args:
        session: a transaction.
        home: folder of everything.
        child: as of `why_not`.
        limit: most that can be used, and most of the others, so that these crowd none out.
        also: numbers of those that are listed whatever their age.
    """
    usable: list[tuple[Source, None]] = []
    others: list[tuple[Source, BadInput]] = []
    preset = child.get("preset")
    for sources in _in_parts(session, preset):
        stored = _stored(session, sources)  # held, so that none of them is asked for again
        for source in sources:
            problem = why_not(session, source, home, child)
            if problem is None and len(usable) < limit:
                usable.append((source, None))
            elif problem is not None and len(others) < limit:
                others.append((source, problem))
        if len(usable) == limit:
            break
    oldest = usable[-1][0].id if len(usable) == limit else 0
    impossible = _impossible(session, preset, newer_than=oldest, limit=limit)
    of_others = _stored(session, impossible)
    for source in impossible:
        problem = why_not(session, source, home, child) if source.id in of_others else not_finished(source)
        others += [(source, problem)] if problem is not None else []
    others = sorted(others, key=lambda one: -one[0].id)[:limit]
    kept: dict[int, tuple[Source, BadInput | None]] = {source.id: (source, why) for source, why in [*usable, *others]}
    for number in also:
        if number not in kept and (named := source_of(session, number)) is not None:
            kept[number] = named, why_not(session, named, home, child)
    stored = _stored(session, [source for source, _ in kept.values()])
    trained = [source for source, _ in kept.values() if isinstance(source, Run)]
    origins, outside = origins_of(session, trained), from_outside(session, trained)
    ordered = sorted(kept.values(), key=lambda one: -one[0].id)
    return [_out(source, stored.get(source.id), origins.get(source.id), outside, why) for source, why in ordered]


def _of_model(preset: str | None) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Which trainings, and which checkpoints from outside, a run of a model (of any: None) may perhaps start from."""
    is_there = col(Run.id).in_(select(Checkpoint.id))
    if preset is None:
        return is_there, true()
    return and_(is_there, col(Run.preset) == preset), col(AddedCheckpoint.preset) == preset


_SHOWN = col(Run.stage).in_(training_names()), col(Run.archived_at).is_(None)


def _in_parts(session: Session, preset: str | None) -> Iterator[list[Source]]:
    """What a run of a model may perhaps start from, newest first, some at a time: a home may have thousands."""
    trained, added = _of_model(preset)
    trainings = select(Run).where(*_SHOWN, trained).order_by(col(Run.id).desc())
    loaded = session.exec(trainings.execution_options(yield_per=PART))
    from_elsewhere = session.exec(select(AddedCheckpoint).where(added).order_by(col(AddedCheckpoint.id).desc()))
    both: Iterator[Source] = merge(loaded, from_elsewhere, key=lambda one: -one.id)
    while part := list(islice(both, PART)):
        yield part


def _impossible(session: Session, preset: str | None, *, newer_than: int, limit: int) -> list[Source]:
    """The newest of the others: trainings that have left nothing, and what is of another model."""
    trained, added = (not_(condition) for condition in _of_model(preset))
    query = select(Run.id).where(*_SHOWN, trained)
    if newer_than:  # they are few: their rows may be read
        query = query.where(col(Run.id) > newer_than)
    numbers = list(session.exec(query.order_by(newest_in_index(col(Run.id))).limit(limit)))
    from_elsewhere = select(AddedCheckpoint).where(added, col(AddedCheckpoint.id) > newer_than)
    newest = from_elsewhere.order_by(col(AddedCheckpoint.id).desc()).limit(limit)
    return [*session.exec(select(Run).where(col(Run.id).in_(numbers))), *session.exec(newest)]


def _stored(session: Session, sources: Sequence[Source]) -> dict[int, Checkpoint]:
    """The checkpoints that there are, by their numbers."""
    query = select(Checkpoint).where(col(Checkpoint.id).in_([source.id for source in sources]))
    return {one.id: one for one in session.exec(query)}


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


def sources_of(session: Session, checkpoints: Sequence[Checkpoint]) -> list[Source]:
    """Where checkpoints come from, in their order."""
    numbers = [one.id for one in checkpoints]
    runs = {one.id: one for one in session.exec(select(Run).where(col(Run.id).in_(numbers)))}
    of_others = select(AddedCheckpoint).where(col(AddedCheckpoint.id).in_(set(numbers) - runs.keys()))
    added = {one.id: one for one in session.exec(of_others)}
    return [runs.get(number) or added[number] for number in numbers]


def by_itself(session: Session, source: Source, home: Path) -> s.CheckpointOut:
    """A checkpoint, usable where the least that a run may ask of it could be had."""
    return by_themselves(session, [source], home)[0]


def by_themselves(session: Session, sources: Sequence[Source], home: Path) -> list[s.CheckpointOut]:
    """The same of several, with a few queries for all."""
    stored = _stored(session, sources)
    trained = [source for source in sources if isinstance(source, Run)]
    origins, outside = origins_of(session, trained), from_outside(session, trained)
    shown = []
    for source in sources:
        checkpoint = stored.get(source.id)
        manifest = manifest_of(checkpoint) if checkpoint else None
        problem = why_not(session, source, home, least_demanding(source, manifest))
        shown.append(_out(source, checkpoint, origins.get(source.id), outside, problem))
    return shown


def _out(
    source: Source,
    checkpoint: Checkpoint | None,
    origin: Origin | None,
    outside: Collection[int],
    problem: BadInput | None,
) -> s.CheckpointOut:
    manifest = manifest_of(checkpoint) if checkpoint else None
    return s.CheckpointOut(
        id=source.id,
        preset=source.preset,
        data=source.data,
        note=source.note,
        revision=revision_of(source),
        **(_of_training(source, origin, outside) if isinstance(source, Run) else _of_outside(source, manifest)),
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


def _of_training(run: Run, origin: Origin | None, outside: Collection[int]) -> dict[str, Any]:
    return {
        "stage": run.stage,
        "made_by": run.stage,
        "run_status": RunStatus(run.status),
        "ablation": origin.ablation if origin is not None else "",
        "parent_id": run.parent_id,
        "parent_outside": run.parent_id in outside,
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
