"""What is wrong, with which value, and the way out: one shape for errors, events, replies and stored runs."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from memgen.contract.numbers import cut_at

LONGEST_VALUE = 200  # characters that are shown of a value


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return str(value)
    except (RecursionError, ValueError):  # nested too deep, or an integer of more digits than Python writes
        return f"a {type(value).__name__} that is too large to show"


class Problem(BaseModel):
    """One thing that is wrong.

    A trainer may say anything, so texts are cut, and what UTF-8 can't carry is replaced.
    """

    # A reader older than its writer ignores fields that it does not know.
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    code: Annotated[str, cut_at(100)]
    """Stable name that programs may test."""
    message: Annotated[str, cut_at(2_000)]
    """One sentence that says what is wrong."""
    field: Annotated[str | None, cut_at(200)] = None
    """Config field, parameter or setting that carries the value."""
    value: Annotated[str | None, cut_at(LONGEST_VALUE), BeforeValidator(_shown)] = None
    """The offending value."""
    way_out: Annotated[str, cut_at(2_000)] = ""
    """What to do instead."""

    def __str__(self) -> str:
        """`field: message (got value). Way out.` on one line."""
        text = f"{self.field}: {self.message}" if self.field else self.message
        if self.value is not None:
            text += f" (got {self.value!r})"
        return f"{_ended(text)} {self.way_out}".rstrip()

    def in_sentences(self) -> "Problem":
        """The same with a message that begins with a capital letter and ends with a full stop."""
        return self.model_copy(update={"message": _ended(self.message[:1].upper() + self.message[1:])})


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."
