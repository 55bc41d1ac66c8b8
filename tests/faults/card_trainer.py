"""The real trainer on a stand-in card: it fails in the middle as torch does, when the card's file says so.

A file `memory` beside the cards holds how many trainers are to run out of memory; each takes one off and then fails at
every step, however few rows it tries.
"""

import os
from pathlib import Path

os.environ["MEMGEN_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # as in tests.slow_trainer, before torch is imported

import torch

from memgen.contract.rundir import write_whole
from memgen.stages.answer_book import AnswerBook
from tests import slow_trainer
from tests.faults.card import CARDS, words

STEPS = 60  # after which memory runs out: some questions are answered
told = AnswerBook.tell_step
steps = 0
is_short = False


def tell_on_card(book: AnswerBook) -> None:
    """Fail where the card does."""
    global steps, is_short
    steps += 1
    if words():
        raise torch.AcceleratorError("CUDA error: unknown error")
    if steps == STEPS:
        is_short = _takes_one()
    if is_short:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    told(book)


def _takes_one() -> bool:
    path = Path(os.environ[CARDS]) / "memory"
    count = int(path.read_text()) if path.exists() else 0
    if count:
        write_whole(path, str(count - 1))
    return count > 0


AnswerBook.tell_step = tell_on_card  # type: ignore[method-assign]
slow_trainer.main()
