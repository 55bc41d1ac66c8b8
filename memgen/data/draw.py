"""Training rows that an evaluation uses beside its questions: worked examples, and questions to take latents from."""

import hashlib
from collections.abc import Sequence

from memgen.data.questions import Question


def draw(rows: Sequence[Question], evaluated: Sequence[Question], *, seed: int, purpose: str) -> list[Question]:
    """Training rows in an order that the seed draws, without those that are evaluated.

    A row's place in the order of sha256("seed:purpose:id") decides, so the first ones are the same on every machine,
    for every order of the rows and for every number of questions of another split.

    Args:
        rows: of the training split.
        evaluated: what the run is measured on; these may be training rows, too.
        seed: of the run.
        purpose: a word; each has an order of its own.
    """
    asked = {question.id for question in evaluated}
    others = [row for row in rows if row.id not in asked]
    return sorted(others, key=lambda row: hashlib.sha256(f"{seed}:{purpose}:{row.id}".encode()).digest())
