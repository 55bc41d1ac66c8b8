"""A user's folder with GSM8K: the setting that names it, what it must hold, how many rows it has.

Backend and trainer read the setting through this module alone.
"""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from memgen.contract.errors import BadInput
from memgen.contract.places import path_of
from memgen.contract.plain_file import kind_of

GSM8K_SETTING = "MEMGEN_GSM8K_DIR"
GSM8K_FILES = ("train.jsonl", "test.jsonl")
MOST_COUNTED = 64 * 2**20  # bytes of a file that are read to count its rows; the published ones have 4 MB and 0.7 MB


def gsm8k_folder(value: str | None) -> Path | None:
    """The folder that a value of MEMGEN_GSM8K_DIR names; None if it is not set or blank, and the hub is asked.

    Raises:
        BadInput: `bad_setting`.
    """
    return path_of(value, GSM8K_SETTING)


def check_gsm8k_folder(folder: Path) -> None:
    """Refuse a folder that lacks a file of GSM8K, without reading the files.

    Raises:
        BadInput: `data_folder_incomplete`.
    """
    if not os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir raises where a folder above may not be entered
        kind = kind_of(folder)
        raise unusable_gsm8k_folder(folder, f"this is a {kind}, not a folder" if kind else "there is no such folder")
    missing = [name for name in GSM8K_FILES if not os.path.isfile(folder / name)]  # noqa: PTH113
    if missing:
        raise unusable_gsm8k_folder(folder, f"the folder lacks {' and '.join(missing)}")
    unreadable = [name for name in GSM8K_FILES if not os.access(folder / name, os.R_OK)]
    if unreadable:
        raise unusable_gsm8k_folder(folder, f"{' and '.join(unreadable)} can't be read: Permission denied")


def count_rows(path: Path) -> int:
    """How many different questions a file of GSM8K has; remembered until the file changes.

    Of a file above 64 MB the rest is estimated from its size. A line that is no question counts as one: who loads the
    file says what is wrong with it.

    Raises:
        BadInput: `data_folder_incomplete`, if it can't be read.
    """
    try:
        found = path.stat()
        return _count(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise unusable_gsm8k_folder(path.parent, f"{path.name} can't be read: {error.strerror}") from error


@lru_cache(maxsize=16)
def _count(path: Path, _mtime_ns: int, size: int) -> int:
    seen: set[bytes] = set()
    read = 0
    with path.open("rb") as file:
        while read < MOST_COUNTED and (line := file.readline(MOST_COUNTED)):
            read += len(line)
            if line.strip():
                seen.add(_question_of(line))
    return len(seen) if read >= size else len(seen) * size // read


def _question_of(line: bytes) -> bytes:
    try:
        text = str(json.loads(line.decode("utf-8-sig"))["question"]).strip().encode()
    except (ValueError, LookupError, TypeError, RecursionError):
        text = line
    return hashlib.sha256(text).digest()


def unusable_gsm8k_folder(folder: Path, message: str) -> BadInput:
    """The error for a GSM8K folder that can't be read."""
    return BadInput(
        "data_folder_incomplete",
        message,
        field=GSM8K_SETTING,
        value=folder,
        way_out=f"Put {' and '.join(GSM8K_FILES)} of openai/grade-school-math there, unset {GSM8K_SETTING} to load "
        "GSM8K from the hub, or choose the data set wordproblems.",
    )
