"""Views of lists: filters and an order, which the list's address holds, kept under a name for everybody."""

import re
from urllib.parse import parse_qsl, urlencode

from sqlmodel import Session, col, func, select

from backend.errors import LARGEST_INTEGER, Conflict, NotFound
from backend.services.tags import key_of
from backend.store.models import SavedView
from memgen.contract.errors import BadInput

MOST = 200
LONGEST_QUERY = 2000  # characters
_NAME = re.compile(r"\w(?:[\w .,:/()+=-]{0,58}[\w.)+=-])?")
_PARAMETER = re.compile(r"[a-z_]{1,30}")


def save(session: Session, page: str, name: str, query: str, *, replace: bool, at: float) -> SavedView:
    """Keep a view; the same again changes nothing.

    Raises:
        BadInput: `bad_name`, `bad_query`.
        Conflict: `name_taken`, `too_many_saved`.
    """
    label, wanted = _checked_name(name), _checked_query(query)
    there = _named(session, page, label)
    if there is not None and there.query == wanted:
        return there
    if there is not None and not replace:
        raise _taken(name)
    if there is None and session.exec(select(func.count()).select_from(SavedView)).one() >= MOST:
        raise Conflict(
            "too_many_saved",
            f"{MOST} views are kept already",
            field="name",
            value=name,
            way_out="Delete some that nobody needs.",
        )
    view = there or SavedView(page=page, key=key_of(label), name=label, query=wanted, saved_at=at)
    view.query, view.saved_at = wanted, at
    session.add(view)
    session.flush()
    return view


def rename(session: Session, view_id: int, name: str) -> SavedView:
    """Give a view another name.

    Raises:
        NotFound: `view_not_found`.
        BadInput: `bad_name`.
        Conflict: `name_taken`.
    """
    view, label = get(session, view_id), _checked_name(name)
    other = _named(session, view.page, label)
    if other is not None and other.id != view.id:
        raise _taken(name)
    view.key, view.name = key_of(label), label
    session.add(view)
    return view


def delete(session: Session, view_id: int) -> None:
    """Keep a view no longer.

    Raises:
        NotFound: `view_not_found`.
    """
    session.delete(get(session, view_id))


def kept(session: Session, page: str | None = None) -> list[SavedView]:
    """Views of a page, or of all, by their names."""
    query = select(SavedView).order_by(col(SavedView.page), col(SavedView.key))
    return list(session.exec(query if page is None else query.where(col(SavedView.page) == page)))


def get(session: Session, view_id: int) -> SavedView:
    """The view of this number.

    Raises:
        NotFound: `view_not_found`.
    """
    view = session.get(SavedView, view_id) if abs(view_id) <= LARGEST_INTEGER else None
    if view is None:
        raise NotFound(
            "view_not_found",
            "there is no such view",
            field="view_id",
            value=view_id,
            way_out="GET /api/v1/saved-views lists them.",
        )
    return view


def _named(session: Session, page: str, name: str) -> SavedView | None:
    query = select(SavedView).where(col(SavedView.page) == page, col(SavedView.key) == key_of(name))
    return session.exec(query).first()


def _taken(name: str) -> Conflict:
    return Conflict(
        "name_taken",
        "another view of this list has this name",
        field="name",
        value=name,
        way_out="Choose another name, or let this one replace it.",
    )


def _checked_name(name: str) -> str:
    label = " ".join(name.split())
    if _NAME.fullmatch(label) is None:
        raise BadInput(
            "bad_name",
            "this can't be the name of a view",
            field="name",
            value=name,
            way_out="Up to 60 letters, digits, spaces and . , : / ( ) + = - _, with a letter or a digit first.",
        )
    return label


def _checked_query(query: str) -> str:
    """The same in one spelling."""
    try:
        pairs = parse_qsl(query.removeprefix("?"), strict_parsing=bool(query), max_num_fields=30)
    except ValueError:
        pairs = [("?", "")]
    if not all(_PARAMETER.fullmatch(name) for name, _ in pairs) or len(query) > LONGEST_QUERY:
        raise BadInput(
            "bad_query",
            "this is not the query of a list's address",
            field="query",
            value=query[:200],
            way_out="Send what stands after the question mark, e.g. status=failed&sort=-accuracy.",
        )
    return urlencode(sorted(pairs))
