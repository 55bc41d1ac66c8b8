"""What a small number of questions can and can't tell of two evaluations, in words."""

from memgen.contract.intervals import FEWEST_APART


def tells(number: int) -> str:
    """What so many questions can and can't tell of two evaluations, in a sentence."""
    if number < FEWEST_APART:
        return (
            f"With fewer than {FEWEST_APART} questions Compare can't tell two evaluations apart, however they answer: "
            f"this set has {number}."
        )
    return (
        f"Of {number} questions at least {FEWEST_APART} must be answered otherwise, all better or all worse, before "
        f"Compare tells two evaluations apart: a change of {100 * FEWEST_APART / number:.0f} points."
    )
