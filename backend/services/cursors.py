"""Cursors: where the next page of a list begins."""

from backend.errors import LARGEST_INTEGER, ServiceError


def cursor_number(cursor: str) -> int:
    """A cursor as the number that it is.

    Raises:
        ServiceError: `bad_cursor`.
    """
    try:
        number = int(cursor)
    except ValueError:
        raise bad_cursor(cursor) from None
    if abs(number) > LARGEST_INTEGER:
        raise bad_cursor(cursor)
    return number


def bad_cursor(cursor: str) -> ServiceError:
    """The error for a cursor that no reply of ours has named."""
    return ServiceError(
        "bad_cursor",
        "this cursor is not from a reply of ours",
        field="cursor",
        value=cursor,
        way_out="Leave it out to start at the first page.",
    )
