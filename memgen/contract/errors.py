"""The one error for bad input: it names the thing, the value and the way out.

Knows nothing of HTTP, the command line or the trainer: each edge turns it into its own form
(problem+json, exit code 2, a `failed` event).
"""


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
        self.value = None if value is None else str(value)[:200]
        self.way_out = way_out

    def __str__(self) -> str:
        """`field: message (got value). Way out.` on one line."""
        text = f"{self.field}: {self.message}" if self.field else self.message
        if self.value is not None:
            text += f" (got {self.value!r})"
        text = text if text.endswith((".", "!", "?")) else text + "."
        return f"{text} {self.way_out}".rstrip()
