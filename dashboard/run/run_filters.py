"""Which runs the list shows: its filters, kept in the address."""

import zlib
from dataclasses import dataclass

from backend.api.schemas import Shown
from dashboard.parts import api
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import t
from dashboard.parts.list_filters import choose_archive, choose_tag, filter_columns
from dashboard.parts.url_state import keep_in_url, start_from_url
from memgen.contract.status import RunStatus


@dataclass(frozen=True)
class Filters:
    """Which runs are listed; None where not filtered."""

    status: str | None
    preset: str | None
    text: str | None
    tag: str | None
    archived: Shown | None

    def __bool__(self) -> bool:
        return any(vars(self).values())

    @property
    def name(self) -> str:
        """Tells these filters from others."""
        return f"{zlib.crc32(repr(self).encode()):x}"


def choose_filters() -> Filters:
    """Draw the filters."""
    with api.page_errors():
        models = [preset.name for preset in api.presets()]
    statuses = [status.value for status in RunStatus]
    start_from_url("status", statuses, remember=True)
    start_from_url("model", models, remember=True)
    start_from_url("text", remember=True)
    status_column, model_column, text_column, tag_column, archive_column = filter_columns([1, 2, 2, 1, 1])
    status = status_column.selectbox(
        t("Status"),
        statuses,
        index=None,
        key="status",
        placeholder=t("any"),
        format_func=t,
        on_change=keep_in_url("status"),
    )
    model = model_column.selectbox(
        t("Model"),
        models,
        index=None,
        key="model",
        placeholder=t("any"),
        format_func=one_line,
        on_change=keep_in_url("model"),
    )
    text = text_column.text_input(
        t("Search"),
        key="text",
        placeholder=t("in notes and models"),
        icon=":material/search:",
        on_change=keep_in_url("text"),
    )
    with api.page_errors():
        tag = choose_tag(tag_column, "tag")
    return Filters(status, model, (text or "").strip() or None, tag, choose_archive(archive_column, "archived"))
