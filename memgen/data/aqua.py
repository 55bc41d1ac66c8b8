"""Rows of AQuA-RAT."""

from pathlib import Path

from memgen.contract.data_sets.aqua import AQUA
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.data.published import Published
from memgen.data.questions import Question

_PUBLISHED = Published(
    record=AQUA,
    said=Registration(
        name=AQUA.name,
        columns=Columns(question="question", answer="correct", rationale="rationale", choices=("options",)),
        answer=AQUA.answer,
    ),
    repository="deepmind/aqua_rat",
    config="raw",
    parts={split: (split, f"{split}.jsonl") for split in ("train", "validation", "test")},
)


def load_aqua(split: str, seed: int = 42, folder: Path | None = None) -> list[Question]:  # noqa: ARG001
    """All questions of a published split; see `Published.load`. No seed draws them."""
    return _PUBLISHED.load(split, folder)
