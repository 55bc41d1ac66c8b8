"""The same key and body get the same answer; the same key with another body is refused."""

import hashlib
import json
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel
from sqlmodel import Session

from backend.errors import ServiceError
from backend.models import Idempotency

_T = TypeVar("_T", bound=BaseModel)


class KeyReused(ServiceError):
    """An idempotency key that was used for another body."""

    status = 422


def once(
    session: Session, key: str | None, route: str, body: object, kind: type[_T], make: Callable[[], _T], *, at: float
) -> tuple[_T, bool]:
    """Do something once per key, in the caller's transaction.

    Args:
        session: the transaction.
        key: value of the header Idempotency-Key; None does it every time.
        route: what the key belongs to.
        body: the request's body, JSON-serialisable.
        kind: class of the reply.
        make: does it and returns the reply.
        at: seconds since 1970.

    Returns:
        The reply, and whether it was made now.

    Raises:
        KeyReused: the key was used with another body.
    """
    if key is None:
        return make(), True
    body_hash = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
    known = session.get(Idempotency, (key, route))
    if known is not None and known.body_hash != body_hash:
        raise KeyReused(
            "idempotency_key_reused",
            "this key was used with another body",
            field="Idempotency-Key",
            value=key,
            way_out="Use a new key for each new request.",
        )
    if known is not None:
        return kind.model_validate_json(known.reply), False
    reply = make()
    session.add(Idempotency(key=key, route=route, body_hash=body_hash, reply=reply.model_dump_json(), created_at=at))
    return reply, True
