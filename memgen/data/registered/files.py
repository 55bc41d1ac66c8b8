"""Which files rows are read from: a file, or a folder whose files may be splits; and what of a machine may be read."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from memgen.contract.data_sets.record import Split
from memgen.contract.errors import BadInput
from memgen.contract.places import path_of
from memgen.data.registered.examine import Given
from memgen.data.registered.mapping import SPLIT_WORDS
from memgen.data.registered.tables import SUFFIXES

SETTING = "MEMGEN_DATA_FOLDERS"
"""Folders, parted by colons, whose files users of the service may name by their path."""
MOST_FILES = 100
_SPLIT = re.compile(rf"({'|'.join(SPLIT_WORDS)})(?![A-Za-z])", re.IGNORECASE)


def given_files(path: Path, split: Split | None = None) -> list[Given]:
    """The files that a path stands for: itself, or those of a folder; one named `train...` is the training split.

    Args:
        path: of a file or a folder.
        split: what all rows are, where the user says so.

    Raises:
        BadInput: `no_such_file`, `unknown_format`, `too_many_files`.
    """
    if not os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises where a folder above may not be entered
        if not os.path.isfile(path):  # noqa: PTH113  # a pipe or a device would never end
            raise _no_file(path, "there is no such file")
        return [Given(path, path.name, split)]
    try:
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES and one.is_file())
    except OSError as error:
        raise _no_file(path, f"the folder can't be read: {error.strerror}") from error
    if not files:
        raise _no_file(path, f"the folder holds no file of these endings: {', '.join(SUFFIXES)}")
    if len(files) > MOST_FILES:
        raise BadInput(
            "too_many_files",
            f"the folder holds {len(files)} files",
            field="file",
            value=path,
            way_out=f"Name a folder of at most {MOST_FILES}, or a file.",
        )
    return [Given(one, one.name, split or _split_of(one.name)) for one in files]


def _split_of(name: str) -> Split | None:
    match = _SPLIT.match(name)
    return SPLIT_WORDS[match[1].lower()] if match else None


def allowed_folders(environment: Mapping[str, str]) -> list[Path]:
    """Folders that the operator lets users name files of; none by default.

    Raises:
        BadInput: `bad_setting`.
    """
    paths = [path_of(one, SETTING) for one in environment.get(SETTING, "").split(os.pathsep)]
    return [path for path in paths if path is not None]


def allowed_path(text: str, folders: list[Path]) -> Path:
    """A path that a client named, if it lies in a folder that the operator allows, whatever links lead to.

    Raises:
        BadInput: `path_not_allowed`, the same whether there is something or not.
    """
    try:
        path = Path(text)
        real = path.resolve(strict=True)
        inside = path.is_absolute() and any(real.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, ValueError, RuntimeError):  # not there, a NUL, a loop of links
        inside = False
    if not inside:
        names = ", ".join(map(str, folders))
        raise BadInput(
            "path_not_allowed",
            "there is no such file in a folder that may be read",
            field="path",
            value=ascii(text)[1:-1],
            way_out=f"Name a file in {names}."
            if folders
            else f"Upload the file, or set {SETTING} where the backend runs.",
        )
    return real


def allowed_files(folders: list[Path]) -> list[str]:
    """What users may name: files of allowed folders and of the folders in them, and those folders."""
    names: list[str] = []
    for folder in folders:
        for place in [folder, *_folders_in(folder)]:
            files = sorted(str(one) for one in _inside(place) if one.suffix.lower() in SUFFIXES)
            names += [str(place), *files] if len(files) > 1 else files
    return names[:1000]


def _folders_in(folder: Path) -> list[Path]:
    return sorted(one for one in _inside(folder) if os.path.isdir(one))  # noqa: PTH112


def _inside(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if not one.name.startswith(".") and one.name.isprintable()]
    except OSError:  # gone, or closed to this user
        return []


def _no_file(path: Path, message: str) -> BadInput:
    return BadInput("no_such_file", message, field="file", value=path, way_out="Name a file or a folder with rows.")
