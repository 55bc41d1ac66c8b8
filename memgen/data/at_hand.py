"""Rows that can be read in seconds, without a network: what is said of a run before its launch, and what is picked."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from memgen.contract.data_sets.functions import split_sizes
from memgen.contract.data_sets.record import DataSet
from memgen.data.load import load_questions
from memgen.data.questions import Question

MOST_ROWS = 50_000
MOST_BYTES = 64 * 2**20
"""For more rows, or for larger files, nobody waits."""


def questions_at_hand(chosen: DataSet, split: str, seed: int, folder: Path | None) -> Sequence[Question] | None:
    """All questions of a split, remembered until its files change; None where they can't be had in seconds.

    Args:
        chosen: the data set.
        split: of it.
        seed: parts train and validation.
        folder: where the rows lie, if the user named a folder.

    Raises:
        BadInput: a row or the folder can't be used, or the data set's own code does not work.
    """
    stamps = stamps_of(chosen, split, folder)
    return None if stamps is None else _questions(chosen.name, chosen.loader, split, seed, folder, stamps)


def stamps_of(chosen: DataSet, split: str, folder: Path | None) -> tuple[tuple[int, int], ...] | None:
    """What changes with the files of a split; None where its rows can't be read in seconds."""
    if (folder is None and not chosen.is_local) or split_sizes(chosen, folder).get(split, 0) > MOST_ROWS:
        return None
    stamps = []
    for name in chosen.folder.files if folder is not None and chosen.folder is not None else ():
        status = (folder / name).stat() if folder is not None else None
        if status is None or status.st_size > MOST_BYTES:
            return None
        stamps.append((status.st_mtime_ns, status.st_size))
    return tuple(stamps)


@lru_cache(maxsize=2)
def _questions(
    data: str, _loader: str, split: str, seed: int, folder: Path | None, _stamps: tuple[tuple[int, int], ...]
) -> tuple[Question, ...]:
    return tuple(load_questions(data, split, seed=seed, folder=folder))
