"""The one error for bad input, which names the thing, the value and the way out; and that of numbers gone wrong.

Knows nothing of HTTP, the command line or the trainer: each edge turns it into its own form
(problem+json, exit code 2, a `failed` event).
"""

from pydantic import ValidationError

from memgen.contract.problem import Problem


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
        self.problem = Problem(code=code, message=message, field=field, value=value, way_out=way_out)

    def __str__(self) -> str:
        """`field: message (got value). Way out.` on one line."""
        return str(self.problem)

    def at(self, field: str | None) -> "BadInput":
        """The same said of another field, e.g. of a step's in a pipeline."""
        return BadInput(**{**dict(self.problem), "field": field})

    @property
    def code(self) -> str:
        """Stable name that programs may test."""
        return self.problem.code

    @property
    def message(self) -> str:
        """What is wrong."""
        return self.problem.message

    @property
    def field(self) -> str | None:
        """What carries the value."""
        return self.problem.field

    @property
    def value(self) -> str | None:
        """The offending value as text."""
        return self.problem.value

    @property
    def way_out(self) -> str:
        """What to do instead."""
        return self.problem.way_out


class Diverged(RuntimeError):
    """A run's numbers are none any more (NaN), or infinite, or differ between its processes.

    Args:
        message: what is wrong, and where.
        way_out: what to do instead, one sentence.
    """

    def __init__(self, message: str, way_out: str) -> None:
        super().__init__(f"{message}. {way_out}")
        self.problem = Problem(code="diverged", message=message, way_out=way_out)


def first_error(error: ValidationError) -> str:
    """The first of the errors with its place, for people: `files.a: what is wrong`; the value stays out."""
    first = error.errors(include_input=False)[0]
    place = ".".join(str(part)[:100] for part in first["loc"])
    return f"{ascii(place)[1:-1]}: {first['msg']}" if place else first["msg"]
