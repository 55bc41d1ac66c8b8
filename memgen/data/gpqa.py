"""Rows of GPQA. The right answer comes first in its file, so choices are put into an order of their own."""

from pathlib import Path

from memgen.contract.data_sets.gpqa import GPQA
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.data.published import Published
from memgen.data.questions import Question

SHUFFLE_SEED = 42
"""One order for all runs, so that they answer the same questions. For another one register the file, with a seed."""
_RIGHT = "Correct Answer"
_PUBLISHED = Published(
    record=GPQA,
    said=Registration(
        name=GPQA.name,
        columns=Columns(
            question="Question",
            answer=_RIGHT,
            rationale="Explanation",
            choices=(_RIGHT, *(f"Incorrect Answer {number}" for number in (1, 2, 3))),
        ),
        answer=GPQA.answer,
        answer_as="text",
        shuffle_choices=True,
        seed=SHUFFLE_SEED,
    ),
    repository="Idavidrein/gpqa",
    config="gpqa_main",
    parts={"test": ("train", "gpqa_main.csv")},
)


def load_gpqa(split: str, seed: int = 42, folder: Path | None = None) -> list[Question]:  # noqa: ARG001
    """All questions; see `Published.load`. The run's seed does not move their choices."""
    return _PUBLISHED.load(split, folder)
