"""How long the rows of a data set are, where no tokenizer is at hand: bounds on their numbers of tokens.

A byte-level tokenizer makes at most one token of each byte. One that never joins two words, as those of all models that
the project ships presets for, makes at least one token of each word.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from memgen.contract.asking import Asking
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import data_set
from memgen.data.at_hand import stamps_of
from memgen.data.load import load_questions
from memgen.data.prompt import answer_text, make_prompt, question_prompt

_PIECE = re.compile(r"[A-Za-z]+|[0-9]|[^\sA-Za-z0-9]")  # as usual tokenizers part a text first
_LETTERS = 6  # of a token, in a word that is not a usual one


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
    stamps = stamps_of(chosen, split, folder)
    return None if stamps is None else _lengths(chosen.name, chosen.loader, split, seed, folder, stamps)


def added_lengths(
    chosen: DataSet, asking: Asking, split: str, first: int | None, seed: int, folder: Path | None
) -> tuple[int, int] | None:
    """The fewest and the most tokens that a prompt has beside those of `row_lengths`; None as there.

    Args:
        chosen: the data set.
        asking: how its questions are asked.
        split: what is evaluated.
        first: how many questions of it, from the first on; None for all.
        seed: draws worked examples.
        folder: where the rows lie, if the user named a folder.

    Raises:
        BadInput: as `row_lengths`; `too_few_examples`.
    """
    splits = ("train", split) if asking.num_examples else ()
    stamps = [stamps_of(chosen, one, folder) for one in splits]
    if None in stamps:
        return None
    return _added(chosen.name, chosen.loader, asking, split, first, seed, folder, tuple(stamps))


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


@lru_cache(maxsize=8)
def _added(
    data: str,
    _loader: str,
    asking: Asking,
    split: str,
    first: int | None,
    seed: int,
    folder: Path | None,
    _stamps: tuple[object, ...],
) -> tuple[int, int]:
    chosen = data_set(data)
    questions, training = [], []
    if asking.num_examples:
        questions = load_questions(data, split, seed=seed, folder=folder)[:first]
        training = load_questions(data, "train", seed=seed, folder=folder)
    prompt = make_prompt(chosen, asking, questions, training, seed)
    bounds = zip(token_bounds(prompt.text("")), token_bounds(question_prompt(chosen, "")), strict=True)
    fewest, most = (styled - plain for styled, plain in bounds)
    return fewest, most


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
