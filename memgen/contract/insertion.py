"""The insertion rule: where latents may stand. Training, generation and the memory planner all ask here.

Latents may be inserted at the end of the prompt, and inside an answer after each token whose own text ends in a
delimiter, up to a limit (MemGen, arXiv 2509.24704). The trigger, or chance, decides at which of these points they are.
"""

from collections.abc import Callable
from dataclasses import dataclass

DELIMITERS = (",", ".", "\n")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How often latents are inserted at most."""

    max_prompt_aug_num: int = 1
    """At the end of the prompt, 0 or 1."""
    max_inference_aug_num: int = 5
    """Inside an answer."""

    def may_insert(self, newest: int | None, inserted: int, is_delimiter: Callable[[int], bool]) -> bool:
        """Whether latents may be inserted now.

        Args:
            newest: newest token of the answer; None at the end of the prompt.
            inserted: how often latents were inserted inside the answer before.
            is_delimiter: whether a token's own text ends in a delimiter.
        """
        if newest is None:
            return self.max_prompt_aug_num > 0
        return self.has_room(inserted) and is_delimiter(newest)

    def has_room(self, inserted: int) -> bool:
        """Whether latents may yet be inserted inside an answer that has had so many insertions."""
        return inserted < self.max_inference_aug_num

    def most_insertions(self, tokens: int) -> int:
        """Most insertions inside an answer of so many tokens, after each of which there is one at most."""
        return min(self.max_inference_aug_num, tokens)
