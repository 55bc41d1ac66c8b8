"""Folders of the user's that hold the rows of data sets: which settings name them, and whether they can be used.

Backend, worker and trainer read these settings through this module alone.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from memgen.contract.data_sets.record import DataFolder, DataSet
from memgen.contract.data_sets.registry import data_sets
from memgen.contract.errors import BadInput
from memgen.contract.places import path_of
from memgen.contract.plain_file import kind_of


def data_folders(environment: Mapping[str, str]) -> dict[str, Path]:
    """The folders that an environment names, by the name of the data set.

    Raises:
        BadInput: `bad_setting`.
    """
    folders = {name: folder_of(one, environment) for name, one in data_sets().items()}
    return {name: folder for name, folder in folders.items() if folder is not None}


def folder_of(chosen: DataSet, environment: Mapping[str, str]) -> Path | None:
    """The folder of one data set; None if the setting is unset or blank, or the data set has none.

    Raises:
        BadInput: `bad_setting`.
    """
    if chosen.folder is None:
        return None
    return path_of(environment.get(chosen.folder.setting), chosen.folder.setting)


def folder_settings() -> dict[str, str]:
    """Names of data sets by the setting that names their folder."""
    return {one.folder.setting: name for name, one in data_sets().items() if one.folder is not None}


def as_settings(folders: Mapping[str, Path]) -> dict[str, str]:
    """Folders by data set as environment variables: one folder for all, whatever `~` is to each process."""
    return {setting: str(folders[name]) for setting, name in folder_settings().items() if name in folders}


def check_folder(chosen: DataSet, folder: Path) -> None:
    """Refuse a folder that lacks a file of the data set, without reading the files.

    Raises:
        BadInput: `data_folder_incomplete`.
    """
    needed = chosen.folder
    if needed is None:
        return
    if not os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir raises where a folder above may not be entered
        kind = kind_of(folder)
        raise unusable_folder(needed, folder, f"this is a {kind}, not a folder" if kind else "there is no such folder")
    missing = [name for name in needed.files if not os.path.isfile(folder / name)]  # noqa: PTH113
    if missing:
        raise unusable_folder(needed, folder, f"the folder lacks {' and '.join(missing)}")
    unreadable = [name for name in needed.files if not os.access(folder / name, os.R_OK)]
    if unreadable:
        raise unusable_folder(needed, folder, f"{' and '.join(unreadable)} can't be read: Permission denied")


def unusable_folder(needed: DataFolder, folder: Path, message: str) -> BadInput:
    """The error for a folder whose rows can't be read."""
    return BadInput("data_folder_incomplete", message, field=needed.setting, value=folder, way_out=needed.way_out)
