"""Fields that configs did not always have: what a config that was stored without one of them meant.

A new field may have another default than what was computed before it came. A config that was stored then must keep its
meaning and its hash, so the field says in its type what its absence meant:
`form: Annotated[Literal["decision", "rate"], Added("rate")] = "decision"`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class Added:
    """Marks a field that came later."""

    before: Any
    """The value, as in JSON, that says what was computed before there was the field."""


def meanings_before(config_class: type[BaseModel]) -> dict[str, Any]:
    """The fields that came later, with what their absence meant."""
    return {
        name: mark.before
        for name, field in config_class.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Added)
    }


def as_stored(config_class: type[BaseModel], data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A config with what it meant when it was stored.

    A config is stored with every field that its version had, and nobody types all of them. So one that has all but
    those which came later was stored without these; where any other is missing, what is missing has its default.
    """
    before = meanings_before(config_class)
    stored = config_class.model_fields.keys() - before.keys() <= data.keys()
    return {**before, **data} if stored else data
