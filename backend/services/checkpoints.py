"""Checkpoints: what training runs left or came from outside, whether it is whole, and which run may start from it.

A training's checkpoint has its run's number. It is known from the moment at which its run succeeds, and lies where the
trainer has left it; its files' hashes are checked before a run that starts from it is taken.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from backend.errors import LARGEST_INTEGER
from backend.services.descent import older_parent
from backend.store.models import AddedCheckpoint, Checkpoint, Run
from memgen.contract.checkpoint_kinds import KINDS, Kind, least
from memgen.contract.config import InvalidConfig, RunConfig
from memgen.contract.errors import BadInput, first_error
from memgen.contract.manifest import MANIFEST, CheckpointReport, Manifest, damage_of, damaged, survey
from memgen.contract.planner.parts import Parts, parts_in
from memgen.contract.rundir import RunDir
from memgen.contract.stage import Need, Stage
from memgen.contract.stages import STAGES, find_stage, stage_named, trains
from memgen.contract.status import RunStatus
from memgen.contract.weaver_shape import other_shape

log = logging.getLogger(__name__)
Source = Run | AddedCheckpoint
"""Where a checkpoint comes from: a training, or somebody outside; its id is the checkpoint's."""
WAY_OUT = "Choose another checkpoint; GET /checkpoints lists them with what each is good for."


def left_by(stage: str, folder: RunDir, report: CheckpointReport | None) -> CheckpointReport | None:
    """What an attempt that succeeded has left as its run's checkpoint; None for an evaluation. No file is hashed.

    Args:
        stage: of the run.
        folder: of the attempt; a machine with a disk of its own has handed its output in before.
        report: of its supervisor; None of one of a version before.

    Raises:
        BadInput: the checkpoint is not there, can't be used, or is not what the supervisor tells of.
    """
    if not trains(stage):
        return None
    if folder.output.is_symlink():
        raise damaged(folder.output.name, "it is a link")
    seen = survey(folder.output)
    if report is not None and report != seen:
        raise damaged(folder.output.name, "it holds other files than its supervisor has told")
    if seen.manifest.stage not in {None, stage}:
        raise damaged(MANIFEST, f"it is that of another stage, {seen.manifest.stage}")
    return seen


def store(session: Session, run: Run, folder: str, report: CheckpointReport, *, at: float) -> None:
    """Make the checkpoint of a training known.

    Args:
        session: the transaction.
        run: the training.
        folder: where it lies for good, seen from the home.
        report: what lies there.
        at: seconds since 1970.
    """
    session.add(
        Checkpoint(
            id=run.id,
            run_id=run.id,
            folder=folder,
            content_hash=report.manifest.content_hash,
            size_bytes=report.size_bytes,
            manifest=report.manifest.model_dump(mode="json"),
            created_at=at,
        )
    )
    session.flush()


def parent_folder(session: Session, run: Run) -> str | None:
    """Where the checkpoint lies that a run starts from, seen from the home; None for none."""
    checkpoint = session.get(Checkpoint, run.parent_id) if run.parent_id is not None else None
    return checkpoint.folder if checkpoint is not None else None


def start_of(session: Session, parent_id: int | None) -> Parts | None:
    """What the checkpoint of a training has beside the base, for the planner; None where there is none, or it can't be
    read."""
    checkpoint = session.get(Checkpoint, parent_id) if parent_id is not None else None
    manifest = manifest_of(checkpoint) if checkpoint is not None else None
    return parts_in(manifest) if manifest is not None else None


def check_parent(session: Session, config: RunConfig, home: Path) -> tuple[Source, Checkpoint] | None:
    """The checkpoint that a config names and where it comes from; None where it names none.

    Raises:
        InvalidConfig: there is no such checkpoint, it does not fit, or files of it are missing.
    """
    source = parent_of(session, config)
    if source is None:
        return None
    problem = why_not(session, source, home, config.model_dump(exclude_none=True))
    if problem is not None:
        raise InvalidConfig([problem])
    return source, session.get_one(Checkpoint, source.id)


def check_files(checkpoint: Checkpoint, home: Path) -> None:
    """Read all files of a checkpoint, which takes seconds per gigabyte: in no transaction, and not for a mere look.

    Raises:
        InvalidConfig: `checkpoint_damaged`.
    """
    manifest = manifest_of(checkpoint)
    damage = "its stored manifest can't be used" if manifest is None else damage_of(home / checkpoint.folder, manifest)
    if damage:
        raise InvalidConfig([_damaged(checkpoint.id, damage)])


def source_of(session: Session, checkpoint_id: int) -> Source | None:
    """The training that leaves the checkpoint of this id, or what was said of one that came from outside; else None."""
    if abs(checkpoint_id) > LARGEST_INTEGER:
        return None
    run = session.get(Run, checkpoint_id)
    if run is not None:
        return run if trains(run.stage) else None
    return session.get(AddedCheckpoint, checkpoint_id)


def parent_of(session: Session, config: RunConfig) -> Source | None:
    """Where the checkpoint that a config names comes from; None where it names none.

    Raises:
        InvalidConfig: `no_such_checkpoint`; a path is none, a client names an id.
    """
    wanted = config.checkpoint
    if not wanted:
        return None
    number = int(wanted) if wanted.isdecimal() and len(wanted) < 19 else 0
    source = source_of(session, number)
    if source is None or wanted != str(number):
        raise InvalidConfig([no_checkpoint(wanted)])
    return source


def why_not(session: Session, source: Source, home: Path, child: Mapping[str, Any]) -> BadInput | None:
    """Why a run can't start from a checkpoint; of its files only whether they are there.

    Args:
        session: a transaction.
        source: where it comes from.
        home: folder of everything.
        child: what is known of the run that is to start from it: stage, setting, preset, revision, shape of the weaver.
    """
    checkpoint = session.get(Checkpoint, source.id)
    return not_finished(source) if checkpoint is None else _why_unfit(session, source, checkpoint, home, child)


def not_finished(source: Source) -> BadInput:
    """Why nothing can start from a training that has left no checkpoint."""
    return _unfit("checkpoint_not_finished", _lacking(source), source.id, "Wait until the run has succeeded.")


def _why_unfit(
    session: Session, source: Source, checkpoint: Checkpoint, home: Path, child: Mapping[str, Any]
) -> BadInput | None:
    preset = child.get("preset")
    if preset and preset != source.preset:
        return _unfit(
            "foreign_base", f"it was made for {source.preset}, and the run is for {preset}", source.id,
            "Choose that model, or a checkpoint of this one."
        )  # fmt: skip
    theirs, mine = revision_of(source), child.get("revision")
    if theirs and mine and theirs != mine:
        return _unfit(
            "foreign_base", f"it was made for revision {theirs} of the model, and the run is for {mine}", source.id,
            f"Set revision to {theirs}."
        )  # fmt: skip
    leak = _leaks(session, source, child)
    if leak is not None:
        return leak
    manifest = manifest_of(checkpoint)
    if manifest is None:
        return _damaged(source.id, "its stored manifest can't be used")
    kind, need = KINDS[manifest.kind], _need(child)
    unlike = _of_another_layout(source.id, kind, need, child)
    if unlike is not None:
        return unlike
    if manifest.latents and (problem := other_shape(manifest, child)) is not None:
        return problem
    first = kind.layout.adapters[0]
    if need is not None and first not in manifest.trained:
        return _unfit(f"untrained_{first}", f"its {first} was never trained", source.id, WAY_OUT)
    if need is not None and need not in {*kind.offers, *manifest.trained}:  # a weaver may come with a trained trigger
        label = KINDS[need].label
        if need not in kind.layout.adapters:  # then it can't have been trained beside what it is
            way_out = f"Choose the checkpoint of a {_makers(need)} run."
            return _unfit("other_kind", f"it is a {kind.label}, and the run needs a {label}", source.id, way_out)
        way_out = f"Choose the checkpoint of a {_makers(need)} run, or a setting without {label}."
        return _unfit(f"untrained_{need}", f"it has no {label} that was trained", source.id, way_out)
    missing = [name for name in manifest.files if not (home / checkpoint.folder / name).is_file()]
    return _damaged(source.id, f"{missing[0]}: the file is missing") if missing else None


def _lacking(source: Source) -> str:
    if not isinstance(source, Run):
        return "it is gone"
    if source.status == RunStatus.SUCCEEDED:
        return f"run {source.id} has ended, and its checkpoint was not found"
    return f"run {source.id} is {source.status}"


def revision_of(source: Source) -> str | None:
    """The commit of the base that a checkpoint was made for, where one was named."""
    return source.config.get("revision") if isinstance(source, Run) else source.revision


def stands_for(checkpoint: Checkpoint, stage: str) -> bool:
    """Whether a checkpoint from outside holds what a training of this stage would leave."""
    manifest, makes = manifest_of(checkpoint), stage_named(stage).makes
    return manifest is not None and makes in {*KINDS[manifest.kind].offers, *manifest.trained}


def weights_of(session: Session, source: Source) -> str:
    """The name of the exact base weights that a run has used, or that a checkpoint was made for; empty if not known."""
    if isinstance(source, Run):
        return str(source.environment.get("model", ""))
    manifest = manifest_of(session.get_one(Checkpoint, source.id))
    return manifest.base_model if manifest is not None else ""


def _need(child: Mapping[str, Any]) -> Need:
    """What must have been trained; for a run of which neither stage nor setting is known, what demands least."""
    stage = _stage(child)
    return least(KINDS) if stage is None else stage.need(child.get("setting"))


def _stage(child: Mapping[str, Any]) -> Stage[Any] | None:
    setting = child.get("setting")
    named = find_stage(str(child.get("stage")))
    return named or next((one for one in STAGES if setting and setting in one.needs), None)


def _of_another_layout(checkpoint_id: int, kind: Kind, need: Need, child: Mapping[str, Any]) -> BadInput | None:
    """A training without a need may start from what it makes, and a run with one from what is built like that."""
    stage = _stage(child)
    wanted = need or (None if stage is None else stage.makes)
    if wanted is None or KINDS[wanted].layout == kind.layout:
        return None
    return _unfit(
        "other_kind", f"it holds {kind.layout.label}, and the run starts from {KINDS[wanted].layout.label}",
        checkpoint_id, f"Choose the checkpoint of a {_makers(wanted)} run.",
    )  # fmt: skip


def _makers(kind: str) -> str:
    return " or ".join(stage.name for stage in STAGES if stage.makes == kind)


def manifest_of(checkpoint: Checkpoint) -> Manifest | None:
    """The manifest of a stored checkpoint; None, with a word in the log, where today's rules refuse it."""
    try:
        return Manifest.model_validate(checkpoint.manifest)
    except ValidationError as error:
        log.warning("the stored manifest of checkpoint %s can't be used: %s", checkpoint.id, first_error(error))
        return None


def _leaks(session: Session, source: Source, child: Mapping[str, Any]) -> BadInput | None:
    """The validation split is drawn by the seed: under another seed it holds rows that were trained on."""
    if child.get("split") != "validation":
        return None
    ancestor: Source | None = source
    while isinstance(ancestor, Run):
        seed = ancestor.config.get("seed")
        if ancestor.data == child.get("data") and seed != child.get("seed"):
            return BadInput(
                "other_seed",
                f"run {ancestor.id} was trained with seed {seed}: the validation split of another seed holds questions "
                "that it was trained on",
                field="seed",
                value=child.get("seed"),
                way_out=f"Set seed to {seed}, or take the test split.",
            )
        parent_id = older_parent(ancestor)
        ancestor = source_of(session, parent_id) if parent_id is not None else None
    if ancestor is None:
        return None
    return BadInput(
        "unknown_rows",
        f"checkpoint {ancestor.id} came from outside: nobody knows whether it was trained on questions of the "
        "validation split",
        field="split",
        value=child.get("split"),
        way_out="Take the test split.",
    )


def least_demanding(source: Source, manifest: Manifest | None) -> dict[str, str]:
    """A `child` of `why_not` that a checkpoint suits if it is whole."""
    made = find_stage(source.stage) if isinstance(source, Run) else None
    kind = made.makes if made is not None else manifest.kind if manifest is not None else None
    layout = KINDS[kind].layout if kind else None
    free = [stage for stage in STAGES if stage.makes and stage.need("") is None]
    alike = [stage for stage in free if stage.makes and KINDS[stage.makes].layout == layout]
    return {"stage": (alike or free)[0].name}


def no_checkpoint(name: object) -> BadInput:
    """The error for a checkpoint that is not there."""
    return BadInput(
        "no_such_checkpoint", "there is no such checkpoint", field="checkpoint", value=name, way_out=WAY_OUT
    )


def _damaged(checkpoint_id: int | None, damage: str) -> BadInput:
    way_out = "Train it again, or choose another."
    return _unfit("checkpoint_damaged", f"it is damaged: {damage}", checkpoint_id, way_out)


def _unfit(code: str, reason: str, checkpoint_id: int | None, way_out: str) -> BadInput:
    return BadInput(code, reason, field="checkpoint", value=checkpoint_id, way_out=way_out)
