"""Settings of launches that are kept under a name, with the meaning that they had when they were kept."""

import re

from sqlmodel import Session, col, func, select

from backend.api.schemas import SavedLaunchPut
from backend.errors import Conflict, NotFound
from backend.store.models import SavedLaunch
from memgen.contract.config import parse_config
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import plan_pipeline

NAME = re.compile(r"\w(?:[\w .,()+=-]{0,58}[\w.)+=-])?")
MOST = 200


def checked(name: str, body: SavedLaunchPut) -> SavedLaunch:
    """The row of settings that can be launched, under a name that can be used.

    Raises:
        BadInput: `bad_name`, `bad_saved_launch`.
        InvalidConfig: the settings can't be launched.
    """
    if NAME.fullmatch(name) is None:
        raise BadInput(
            "bad_name",
            "this can't be the name of settings",
            field="name",
            value=name,
            way_out="Up to 60 letters, digits, spaces and . , ( ) + = - _, with a letter or a digit first.",
        )
    if (body.config is None) == (body.pipeline is None):
        raise BadInput(
            "bad_saved_launch",
            "settings are either those of a run or those of a pipeline",
            field="config",
            way_out="Send one of config and pipeline.",
        )
    row = SavedLaunch(name=name, note=body.note, saved_at=0.0)
    if body.config is not None:
        row.config = parse_config(body.config).model_dump(mode="json")
    elif body.pipeline is not None:
        row.spec = body.pipeline.model_copy(update={"fixes": None, "site": None}).model_dump(mode="json")
        planned = plan_pipeline(body.pipeline)
        row.step_configs = {step: config.model_dump(mode="json") for step, config in planned.items()}
    return row


def keep(session: Session, row: SavedLaunch, *, replace: bool, at: float) -> SavedLaunch:
    """Keep settings.

    Raises:
        Conflict: `name_taken`, `too_many_saved`.
    """
    there = session.get(SavedLaunch, row.name)
    if there is not None and _content(there) == _content(row):
        return there
    if there is not None and not replace:
        raise Conflict(
            "name_taken",
            "other settings have this name",
            field="name",
            value=row.name,
            way_out="Choose another name, or let these replace them.",
        )
    if there is None and session.exec(select(func.count()).select_from(SavedLaunch)).one() >= MOST:
        raise Conflict(
            "too_many_saved",
            f"{MOST} settings are kept already",
            field="name",
            value=row.name,
            way_out="Delete some that nobody needs.",
        )
    row.saved_at = at
    kept_row = session.merge(row)
    session.flush()
    return kept_row


def kept(session: Session) -> list[SavedLaunch]:
    """All settings, by their names."""
    return list(session.exec(select(SavedLaunch).order_by(func.lower(SavedLaunch.name), col(SavedLaunch.name))))


def delete(session: Session, name: str) -> None:
    """Keep settings no longer.

    Raises:
        NotFound: `saved_launch_not_found`.
    """
    row = session.get(SavedLaunch, name)
    if row is None:
        raise NotFound(
            "saved_launch_not_found",
            "no settings have this name",
            field="name",
            value=name,
            way_out="GET /api/v1/saved-launches lists them.",
        )
    session.delete(row)


def _content(row: SavedLaunch) -> tuple[object, ...]:
    return row.note, row.config, row.spec
