"""Rows of MATH-500."""

from pathlib import Path

from memgen.contract.data_sets.math500 import MATH500
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.data.published import Published
from memgen.data.questions import Question

_PUBLISHED = Published(
    record=MATH500,
    said=Registration(
        name=MATH500.name,
        columns=Columns(question="problem", answer="answer", rationale="solution"),
        answer=MATH500.answer,
    ),
    repository="HuggingFaceH4/MATH-500",
    config=None,
    parts={"test": ("test", "test.jsonl")},
)


def load_math500(split: str, seed: int = 42, folder: Path | None = None) -> list[Question]:  # noqa: ARG001
    """All questions; see `Published.load`. No seed draws them."""
    return _PUBLISHED.load(split, folder)
