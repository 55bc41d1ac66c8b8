"""The insertion rule: where latents may stand. Training, generation and the memory planner all ask here.

Latents may be inserted at the end of the prompt, and inside an answer after each token whose own text ends in a
delimiter, up to a limit (MemGen, arXiv 2509.24704). The trigger, or chance, decides at which of these points they are.
On request delimiters inside numbers and calculations are spared, as far as the text up to them tells: in generation
there is no more of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

DELIMITERS = (",", ".", "\n")


def is_in_number(text: str) -> bool:
    """Whether the delimiter that a text ends in stands in a number or a calculation, for all that the text tells.

    In a number: a comma or a full stop directly after a digit, be it a sentence's end or not. In a calculation: after
    `<<` without `>>`, as GSM8K's solutions have them.
    """
    after_digit = text.endswith((",", ".")) and text[-2:-1].isdecimal()
    return after_digit or text.rfind("<<") > text.rfind(">>")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How often latents are inserted at most."""

    max_prompt_aug_num: int = 1
    """At the end of the prompt, 0 or 1."""
    max_inference_aug_num: int = 5
    """Inside an answer."""
    guard_numbers: int = 0
    """1 inserts nothing inside numbers and calculations."""

    def may_insert(
        self, newest: int | None, inserted: int, is_delimiter: Callable[[int], bool], text: Callable[[], str]
    ) -> bool:
        """Whether latents may be inserted now.

        Args:
            newest: newest token of the answer; None at the end of the prompt.
            inserted: how often latents were inserted inside the answer before.
            is_delimiter: whether a token's own text ends in a delimiter.
            text: of the answer up to its newest token; asked for at delimiters alone, where numbers are guarded.
        """
        if newest is None:
            return self.max_prompt_aug_num > 0
        if not (self.has_room(inserted) and is_delimiter(newest)):
            return False
        return not (self.guard_numbers and is_in_number(text()))

    def has_room(self, inserted: int) -> bool:
        """Whether latents may yet be inserted inside an answer that has had so many insertions."""
        return inserted < self.max_inference_aug_num

    def most_insertions(self, tokens: int) -> int:
        """Most insertions inside an answer of so many tokens, after each of which there is one at most.

        The guard of numbers changes nothing in that: each token may be a delimiter that it lets pass.
        """
        return min(self.max_inference_aug_num, tokens)
