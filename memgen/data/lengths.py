"""How long the rows of a data set are, where no tokenizer is at hand: bounds on their numbers of tokens.

A byte-level tokenizer makes at most one token of each byte. One that never joins two words, as those of all models that
the project ships presets for, makes at least one token of each word.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from memgen.contract.data_sets.functions import split_sizes
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import data_set
from memgen.data.load import load_questions
from memgen.data.prompt import answer_text, question_prompt

_PIECE = re.compile(r"[A-Za-z]+|[0-9]|[^\sA-Za-z0-9]")  # as usual tokenizers part a text first
_LETTERS = 6  # of a token, in a word that is not a usual one
MOST_ROWS = 50_000
MOST_BYTES = 64 * 2**20
"""Of more rows, or of larger files, nobody waits for the lengths."""


@dataclass(frozen=True)
class RowLengths:
    """Of each row the fewest and the most tokens that its prompt and its supervised answer can have."""

    prompts: tuple[tuple[int, int], ...]
    answers: tuple[tuple[int, int], ...]


def row_lengths(chosen: DataSet, split: str, seed: int, folder: Path | None) -> RowLengths | None:
    """Lengths of all rows of a split, remembered until its files change; None where they can't be had in seconds.

    Args:
        chosen: the data set.
        split: of it.
        seed: parts train and validation.
        folder: where the rows lie, if the user named a folder.

    Raises:
        BadInput: a row or the folder can't be used, or the data set's own code does not work.
    """
    if (folder is None and not chosen.is_local) or split_sizes(chosen, folder).get(split, 0) > MOST_ROWS:
        return None
    stamps = []
    for name in chosen.folder.files if folder is not None and chosen.folder is not None else ():
        status = (folder / name).stat() if folder is not None else None
        if status is None or status.st_size > MOST_BYTES:
            return None
        stamps.append((status.st_mtime_ns, status.st_size))
    return _lengths(chosen.name, chosen.loader, split, seed, folder, tuple(stamps))


@lru_cache(maxsize=8)
def _lengths(
    data: str, _loader: str, split: str, seed: int, folder: Path | None, _stamps: tuple[tuple[int, int], ...]
) -> RowLengths:
    chosen = data_set(data)
    questions = load_questions(data, split, seed=seed, folder=folder)
    return RowLengths(
        tuple(token_bounds(question_prompt(chosen, one.question)) for one in questions),
        tuple(token_bounds(answer_text(one.solution)) for one in questions),
    )


def token_bounds(text: str) -> tuple[int, int]:
    """The fewest and the most tokens of a text."""
    composed = text if text.isascii() else unicodedata.normalize("NFC", text)  # as some tokenizers do first
    return len(text.split()), max(len(text.encode()), len(composed.encode()))


def usual_tokens(text: str) -> int:
    """About as many tokens as a usual tokenizer makes of a text, and rather a few more.

    Digits count one by one, a long word as several, a sign outside ASCII as many as it has bytes less one.
    """
    return sum(
        -(-len(piece) // _LETTERS) if piece.isascii() else max(1, len(piece.encode()) - 1)
        for piece in _PIECE.findall(text)
    ) + text.count("\n")
