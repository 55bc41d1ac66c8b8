"""Causal checks of a weaver: what an evaluation inserts in the place of its latents, to see whether they say anything.

A weaver may help because its latents say something about the question, or because anything that stands there helps.
"""

from typing import Literal

from memgen.contract.errors import BadInput

CausalCheck = Literal["other_question", "mean", "noise", "none", "scaled"]
WholeCheck = Literal["other_question", "mean", "noise", "none"]
"""Those that need nothing else to be said."""
CHECK_WORDS: dict[CausalCheck, str] = {
    "other_question": "latents of another question",
    "mean": "mean latents",
    "noise": "noise of the same norm",
    "none": "no latents",
    "scaled": "scaled latents",
}
MOST_REFERENCES = 64
"""Training questions whose latents are taken, or averaged."""


def takes_from_training(check: str | None) -> bool:
    """Whether latents of training questions are inserted."""
    return check in ("other_question", "mean")


def no_reference_questions(check: str | None) -> BadInput:
    """The error for a check that has no training question to take latents from."""
    return BadInput(
        "no_reference_questions",
        "every training question is evaluated, and none is left to take latents from",
        field="causal_check",
        value=check,
        way_out="Evaluate another split or fewer questions, or choose another check.",
    )


def check_words(check: CausalCheck | None, factor: float | None) -> str:
    """`mean latents`, `latents times 0.5`; empty without a check."""
    if check is None:
        return ""
    return CHECK_WORDS[check] if factor is None else f"latents times {factor:g}"
