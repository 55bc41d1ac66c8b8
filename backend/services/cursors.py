"""Cursors: where the next page of a list begins."""

from backend.errors import LARGEST_INTEGER, ServiceError


def cursor_number(cursor: str) -> int:
    """A cursor as the number that it is.

    Raises:
        ServiceError: `bad_cursor`.
    """
    try:
        number = int(cursor)
        if abs(number) > LARGEST_INTEGER:
            raise ValueError(cursor)
        return number
    except ValueError:
        raise ServiceError(
            "bad_cursor",
            "this cursor is not from a reply of ours",
            field="cursor",
            value=cursor,
            way_out="Leave it out to start at the first page.",
        ) from None
