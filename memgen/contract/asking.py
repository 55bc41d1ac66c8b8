"""How an evaluation asks its questions: as they are, with a request to think first, or after worked examples."""

from dataclasses import dataclass

from memgen.contract.data_sets.record import DataSet
from memgen.contract.errors import BadInput

STEP_BY_STEP = "Let's think step by step.\n"
"""Ends the user's turn of a chain of thought (Kojima et al., arXiv 2205.11916)."""
STEP_BY_STEP_TOKENS = 10  # a little above what a usual tokenizer makes of it


@dataclass(frozen=True)
class Asking:
    """What a prompt has beside the question and the data set's instruction; without any of it it is zero-shot."""

    step_by_step: bool = False
    num_examples: int = 0
    """Training questions with their solutions, in front of each question."""

    @property
    def words(self) -> str:
        """`chain of thought`, `4 examples`; empty for zero-shot."""
        if self.num_examples:
            return f"{self.num_examples} example{'' if self.num_examples == 1 else 's'}"
        return "chain of thought" if self.step_by_step else ""

    def longest_prompt(self, chosen: DataSet) -> int:
        """Tokens of the longest prompt of a data set asked like this, by what its record says of its rows."""
        example = sum(chosen.fullest if self.num_examples > 1 else chosen.longest)
        return chosen.longest[0] + STEP_BY_STEP_TOKENS * self.step_by_step + self.num_examples * example


ZERO_SHOT = Asking()


def too_few_examples(data: str, left: int, wanted: int | None) -> BadInput:
    """The error for more worked examples than there are training questions that are not evaluated."""
    return BadInput(
        "too_few_examples",
        f"{left:,} training questions of {data} are not evaluated by this run and can be examples",
        field="num_examples",
        value=wanted,
        way_out="Ask for fewer, or evaluate another split or fewer questions of it.",
    )
