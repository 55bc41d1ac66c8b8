"""The one error for bad input, which names the thing, the value and the way out; and that of numbers gone wrong.

Knows nothing of HTTP, the command line or the trainer: each edge turns it into its own form
(problem+json, exit code 2, a `failed` event).
"""

from pydantic import ValidationError


class BadInput(Exception):
    """Input that can't be used, said so that the reader can mend it.

    Args:
        code: stable snake_case name that programs may test, e.g. `unknown_preset`.
        message: one sentence that says what is wrong.
        field: config field, flag or setting that carries the value, if any.
        value: the offending value (shown as text, cut at 200 characters).
        way_out: what to do instead, one sentence.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        way_out: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.value = None if value is None else _shown(value)
        self.way_out = way_out

    def __str__(self) -> str:
        """`field: message (got value). Way out.` on one line."""
        text = f"{self.field}: {self.message}" if self.field else self.message
        if self.value is not None:
            text += f" (got {self.value!r})"
        text = text if text.endswith((".", "!", "?")) else text + "."
        return f"{text} {self.way_out}".rstrip()


class Diverged(RuntimeError):
    """A run's numbers are none any more (NaN), or infinite, or differ between its processes.

    Args:
        message: what is wrong, and where.
        way_out: what to do instead, one sentence.
    """

    code = "diverged"

    def __init__(self, message: str, way_out: str) -> None:
        super().__init__(f"{message}. {way_out}")
        self.message = message
        self.way_out = way_out


def first_error(error: ValidationError) -> str:
    """The first of the errors with its place, for people: `files.a: what is wrong`; the value stays out."""
    first = error.errors(include_input=False)[0]
    place = ".".join(str(part)[:100] for part in first["loc"])
    return f"{ascii(place)[1:-1]}: {first['msg']}" if place else first["msg"]


def _shown(value: object) -> str:
    try:
        return str(value)[:200]
    except (RecursionError, ValueError):  # nested too deep, or an integer of more digits than Python writes
        return f"a {type(value).__name__} that is too large to show"
