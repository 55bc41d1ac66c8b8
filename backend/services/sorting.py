"""Lists in the order of one of their columns, page by page.

A page begins after the last row of the one before, by that row's value and number, so it holds whatever comes and goes
meanwhile. Rows of equal value stand newest first, and those without a value at the end, whichever way a list is sorted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Label, SQLColumnExpression, and_, func, or_
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from backend.errors import ServiceError
from backend.services.cursors import bad_cursor, cursor_number

Row = TypeVar("Row", bound=SQLModel)
Value = str | int | float | None
Columns = Mapping[str, SQLColumnExpression[Any]]
"""What a list can be sorted by: names, as clients send them, of expressions over its rows."""
FALLS = "-"
"""In front of a column's name: the highest first."""


def sort_pattern(columns: Columns) -> str:
    """Regular expression of what clients may send, for the document of the API."""
    return rf"^({FALLS}?({'|'.join(columns)}))?$"


@dataclass(frozen=True)
class Page(Generic[Row]):
    """A part of a list."""

    rows: list[Row]
    next_cursor: str | None
    total: int
    """Rows on all pages."""


def sorted_page(
    session: Session,
    table: type[Row],
    matching: SelectOfScalar[Row],
    columns: Columns,
    *,
    sort: str | None,
    cursor: str | None,
    limit: int,
    by_index: bool = False,
) -> Page[Row]:
    """A page of rows.

    Args:
        session: a transaction.
        table: whose rows are listed, by the column `id`.
        matching: selects those that match, in no order.
        columns: what the list can be sorted by.
        sort: name of a column, after `-` the highest first; None is newest first.
        cursor: where the page before ended; None for the first page.
        limit: most rows of a page.
        by_index: whether one index has all that `matching` looks at, as of `newest_in_index`.

    Raises:
        ServiceError: `unknown_sort` or `bad_cursor`.
    """
    number: SQLColumnExpression[int] = table.id  # type: ignore[attr-defined]
    # numbers and values alone are sorted: whole rows have configs and tracebacks
    if sort:
        rows, following = _in_order(session, number, table, matching, columns, sort, cursor, limit)
    else:
        newest = newest_in_index(number) if by_index else number.desc()
        rows, following = _newest(session, number, table, matching, newest, cursor, limit)
    total = session.execute(matching.with_only_columns(func.count(number))).scalar_one()
    return Page(rows, following, total)


def _newest(
    session: Session,
    number: SQLColumnExpression[int],
    table: type[Row],
    matching: SelectOfScalar[Row],
    newest_first: ColumnElement[int],
    cursor: str | None,
    limit: int,
) -> tuple[list[Row], str | None]:
    query = matching if not cursor else matching.where(number < cursor_number(cursor))
    newest = query.with_only_columns(number).order_by(newest_first).limit(limit + 1)
    rows = list(session.exec(select(table).where(number.in_(newest)).order_by(number.desc())))
    return rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None  # type: ignore[attr-defined]


def _in_order(
    session: Session,
    number: SQLColumnExpression[int],
    table: type[Row],
    matching: SelectOfScalar[Row],
    columns: Columns,
    sort: str,
    cursor: str | None,
    limit: int,
) -> tuple[list[Row], str | None]:
    value, falls = _column(columns, sort), sort.startswith(FALLS)
    named: Label[Any] = value.label("value")  # by its name it is worked out once
    query = matching.with_only_columns(number, named)
    if cursor:
        query = query.where(_after(value, number, falls, *_place(cursor)))
    query = query.order_by((named.desc() if falls else named.asc()).nulls_last(), number.desc())
    found = session.execute(query.limit(limit + 1)).all()
    numbers = [one for one, _ in found[:limit]]
    rows = dict(session.execute(select(number, table).where(number.in_(numbers))).all())
    following = None
    if len(found) > limit:
        last, reached = found[limit - 1]
        following = f"{last}~{json.dumps(reached)}"
    return [rows[one] for one in numbers], following


def newest_in_index(number: SQLColumnExpression[int]) -> ColumnElement[int]:
    """The order in which the newest come first, for a query that one index answers as a whole.

    SQLite would take rows in the order of their numbers, and read each, until enough match. A sum is in the order of
    nothing: so it reads the index through, which is far less, and sorts.
    """
    return (number + 0).desc()


def has_text(text: str, *columns: Any) -> ColumnElement[bool]:
    """Whether one of the columns holds a text. SQLite's LIKE knows no upper case in ASCII: to lower both sides first
    would only take time."""
    return or_(*(col(column).contains(text, autoescape=True) for column in columns))


def _column(columns: Columns, sort: str) -> SQLColumnExpression[Any]:
    name = sort.removeprefix(FALLS)
    if name not in columns:
        raise ServiceError(
            "unknown_sort", "the list can't be sorted by this", field="sort", value=sort,
            way_out=f"Known: {', '.join(columns)}; with `{FALLS}` in front the highest comes first.",
        )  # fmt: skip
    return columns[name]


def _after(
    value: SQLColumnExpression[Any], number: SQLColumnExpression[int], falls: bool, last: int, reached: Value
) -> ColumnElement[bool]:
    """Whether a row stands after the one with this number and value."""
    if reached is None:
        return and_(value.is_(None), number < last)
    beyond = value < reached if falls else value > reached
    return or_(beyond, and_(value == reached, number < last), value.is_(None))


def _place(cursor: str) -> tuple[int, Value]:
    """Number and value of the row that a cursor stands for.

    Raises:
        ServiceError: `bad_cursor`.
    """
    number, _, value = cursor.partition("~")
    try:
        reached: Value = json.loads(value)
        str(reached).encode()  # half of a surrogate pair can't be compared with anything
    except (ValueError, RecursionError):
        raise bad_cursor(cursor) from None
    if not (reached is None or isinstance(reached, str | int | float)):
        raise bad_cursor(cursor)
    return cursor_number(number), reached
