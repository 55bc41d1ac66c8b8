"""The same key and body get the same answer; the same key with another body is refused."""

import hashlib
import json
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, delete, literal_column
from sqlmodel import Session, col, select

from backend.api.schemas import RunOut
from backend.errors import Gone
from backend.store.models import Idempotency, Run
from memgen.contract.errors import BadInput

_T = TypeVar("_T", bound=BaseModel)
KEPT_SECONDS = 30 * 24 * 3600.0  # as long as a login: a form's key is made once and may be sent again


class KeyReused(BadInput):
    """An idempotency key that was used for another body."""


def once(
    session: Session, key: str | None, route: str, body: object, kind: type[_T], make: Callable[[], _T], *, at: float
) -> _T:
    """Do something once per key, in the caller's transaction; returns the reply.

    Args:
        session: the transaction.
        key: value of the header Idempotency-Key; None does it every time.
        route: what the key belongs to.
        body: the request's body, JSON-serialisable.
        kind: class of the reply.
        make: does it and returns the reply.
        at: seconds since 1970.

    Raises:
        KeyReused: the key was used with another body.
    """
    known = replayed(session, key, route, body, kind)
    if known is not None:
        return known
    reply = make()
    if key is not None:
        text = reply.model_dump_json()
        session.add(Idempotency(key=key, route=route, body_hash=_hash(body), reply=text, created_at=at))
        _forget_oldest(session, before=at - KEPT_SECONDS)
    return reply


def replayed(session: Session, key: str | None, route: str, body: object, kind: type[_T]) -> _T | None:
    """The reply that this key got before, if any.

    Raises:
        KeyReused: the key was used with another body.
        Gone: its run was deleted.
    """
    known = session.get(Idempotency, (key, route)) if key is not None else None
    if known is None:
        return None
    if known.body_hash != _hash(body):
        raise KeyReused(
            "idempotency_key_reused",
            "this key was used with another body",
            field="Idempotency-Key",
            value=key,
            way_out="Use a new key for each new request.",
        )
    reply = kind.model_validate_json(known.reply)
    if isinstance(reply, RunOut) and session.get(Run, reply.id) is None:
        raise Gone(
            "run_deleted",
            f"this key made or changed run {reply.id}, which has been deleted since",
            field="Idempotency-Key",
            value=key,
            way_out="Use a new key to submit it anew.",
        )
    return reply


def _forget_oldest(session: Session, *, before: float) -> None:
    """Remove the two oldest replies if they are older: with each new key, so that old ones get fewer without a scan."""
    rowid: ColumnElement[int] = literal_column("rowid")
    oldest = select(rowid).select_from(Idempotency).order_by(rowid).limit(2)
    session.execute(delete(Idempotency).where(rowid.in_(oldest), col(Idempotency.created_at) < before))


def _hash(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
