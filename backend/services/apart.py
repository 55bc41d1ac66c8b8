"""Runs apart from each other: what goes wrong with one must not keep the others from their turn."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError
from sqlmodel import Session

log = logging.getLogger(__name__)


@contextmanager
def apart(session: Session, what: str) -> Iterator[None]:
    """Undo what the block did where it fails, say so in the log, and go on after it.

    Args:
        session: the transaction, of which the block becomes a part of its own.
        what: that is tried, for the log.

    Raises:
        OperationalError: the database itself fails, e.g. on a full disk.
    """
    try:
        with session.begin_nested():
            yield
    except OperationalError:
        raise
    except Exception:  # whatever is wrong with one run
        log.exception("%s failed", what)
