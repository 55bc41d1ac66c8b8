"""Queries that are made once, as lists ask them all the time: to make one takes as long as to run it."""

from collections.abc import Iterable

from sqlalchemy import BindParameter, bindparam

IDS: BindParameter[list[int]] = bindparam("ids", expanding=True)
"""In a query, the numbers that it is later run with."""


def among(ids: Iterable[int | None]) -> dict[str, list[int | None]]:
    """The parameters of a query with `IDS`."""
    return {"ids": list(ids)}
