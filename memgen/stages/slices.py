"""Cutting what is worked on into pieces of one size."""

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


def slices(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    """The items, `size` at a time; the last piece may be smaller."""
    return [items[start : start + size] for start in range(0, len(items), size)]
