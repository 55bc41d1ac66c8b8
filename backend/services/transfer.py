"""Checkpoints on their way between the backend and machines that do not share its disk.

What a run starts from is read file by file. What a training has left comes piece by piece, may break off and go on, and
takes its place only when each file has the content that its hash says.
"""

import shutil
from pathlib import Path

from sqlmodel import Session

from backend.errors import Conflict, NotFound, WrongOffset
from backend.services.checkpoints import parent_folder
from backend.services.uploads import SPARE
from backend.store.models import Attempt, Run
from memgen.contract.errors import BadInput
from memgen.contract.manifest import MANIFEST, CheckpointReport, damage_of, survey
from memgen.contract.names import has_file_names
from memgen.contract.rundir import RunDir

_INCOMING = ".incoming"
DEEPEST = 8  # folders in the path of a file


def start_of(session: Session, attempt: Attempt, home: Path) -> Path:
    """Folder of the checkpoint that an attempt starts from.

    Raises:
        NotFound: `no_checkpoint`: it starts from none, or that one is gone.
    """
    folder = parent_folder(session, session.get_one(Run, attempt.run_id))
    if folder is None:
        raise NotFound(
            "no_checkpoint", "the run starts from no checkpoint, or it was deleted", field="attempt_id",
            value=attempt.id, way_out="Launch the run again, from another checkpoint.",
        )  # fmt: skip
    return home / folder


def file_of_start(folder: Path, name: str) -> Path:
    """A file of a checkpoint.

    Raises:
        NotFound: `no_such_file`.
    """
    if name not in survey(folder).sizes:
        raise NotFound(
            "no_such_file", "the checkpoint has no such file", field="name", value=ascii(name)[:200],
            way_out="GET .../start names its files.",
        )  # fmt: skip
    return folder / name


def received(folder: RunDir) -> dict[str, int]:
    """How much of each file has come.

    Args:
        folder: of the attempt.
    """
    place = folder.output if folder.output.exists() else folder.path / _INCOMING
    return {str(path.relative_to(place)): path.stat().st_size for path in place.rglob("*") if path.is_file()}


def take(folder: RunDir, name: str, offset: int, data: bytes) -> int:
    """Store a piece of a file; returns the offset after it.

    Raises:
        BadInput: `unsafe_name`.
        WrongOffset: something else of it is there.
        Conflict: `disk_full`, `output_is_there`.
    """
    if not has_file_names(name) or len(Path(name).parts) > DEEPEST:
        raise BadInput(
            "unsafe_name", "this can't be the path of a file in a folder", field="name", value=ascii(name)[:200],
            way_out="Name each file by its path from the checkpoint's folder on.",
        )  # fmt: skip
    if folder.output.exists():
        raise Conflict("output_is_there", "the whole checkpoint has come", way_out="End the attempt.")
    path = folder.path / _INCOMING / name
    there = path.stat().st_size if path.exists() else 0
    if offset != there:
        raise WrongOffset(there)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < len(data) + SPARE:
        raise Conflict(
            "disk_full", "the disk of MEMGEN_HOME has no room for the checkpoint", field="MEMGEN_HOME",
            way_out="Make room, e.g. delete runs; the worker keeps it and tries again.",
        )  # fmt: skip
    with path.open("ab") as file:
        file.write(data)
    return offset + len(data)


def place(folder: RunDir, report: CheckpointReport) -> None:
    """Let what has come be the attempt's checkpoint, in one move; once more is the same as once.

    Args:
        folder: of the attempt.
        report: of its supervisor.

    Raises:
        Conflict: `output_incomplete`: a file is missing or is not what it should be, and has to come again.
    """
    if folder.output.exists():
        return
    incoming = folder.path / _INCOMING
    for name, size in report.sizes.items():
        path = incoming / name
        if not path.is_file() or path.stat().st_size != size:
            raise _incomplete(name)
    damage = damage_of(incoming, report.manifest)
    if damage is not None or survey(incoming) != report:
        name = damage.partition(":")[0] if damage is not None else MANIFEST
        (incoming / name).unlink(missing_ok=True)
        raise _incomplete(name)
    for extra in received(folder).keys() - report.sizes.keys():
        (incoming / extra).unlink()
    incoming.rename(folder.output)


def _incomplete(name: str) -> Conflict:
    return Conflict(
        "output_incomplete", "this file of the checkpoint has not come as it should be", field="name", value=name,
        way_out="Send it again from where it ends here.",
    )  # fmt: skip
