"""The newest messages: a table of all, and those that have not arrived with a button that sends them again."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.api.schemas import STATUS_WORDS, DeliveryOut, DeliveryStatus
from dashboard.notifications.words import NOT_ARRIVED, tries_words
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, plain_frame, sentence
from dashboard.parts.language import columns_in_language, mark, t
from dashboard.parts.text import as_utc

SHOWN = 10  # of those that have not arrived


def message_log(deliveries: Sequence[DeliveryOut]) -> None:
    """The newest messages and what became of them."""
    st.subheader(t("Messages"), anchor=False)
    if not deliveries:
        st.caption(t("Nothing has been told yet."))
        return
    for delivery in [one for one in deliveries if one.status in NOT_ARRIVED and one.tries][:SHOWN]:
        _not_arrived(delivery)
    rows = [
        {
            "time": as_utc(one.created_at),
            "channel": one.channel,
            "title": one.title,
            "status": t(STATUS_WORDS[one.status]),
            "tries": one.tries,
            "error": one.error,
        }
        for one in deliveries
    ]
    st.dataframe(
        plain_frame(rows, list(rows[0])), column_config=_columns(), hide_index=True, key="messages",
        alt=t("The newest messages with what became of them"),
    )  # fmt: skip


def _not_arrived(delivery: DeliveryOut) -> None:
    with st.container(border=True, key=f"message_{delivery.id}"):
        words, button = st.columns([8, 2], vertical_alignment="center")
        with words, st.container(gap="xsmall"):
            st.markdown(
                t(
                    "{title}, to {channel}",
                    title=escape_markdown(delivery.title),
                    channel=escape_markdown(delivery.channel),
                )
            )
            st.caption(f"{sentence(tries_words(delivery))} {_next_try(delivery)}")
        if button.button(
            t("Send again"), key=f"again_{delivery.id}", icon=":material/replay:", width="stretch"
        ) and api.attempt(lambda: api.client().send_again(delivery.id)):
            st.rerun(scope="app")


def _next_try(delivery: DeliveryOut) -> str:
    if delivery.status is DeliveryStatus.GAVE_UP or delivery.next_try_at is None:
        return t("It is not tried again by itself.")
    tried = delivery.tried_at or delivery.created_at
    pause = (delivery.next_try_at - tried).total_seconds()
    if pause < 100:
        return t("The next try comes {n} s after this one.", n=f"{pause:.0f}")
    return t("The next try comes {n} min after this one.", n=f"{pause / 60:.0f}")


def _columns() -> dict[str, Any]:
    zone = st.context.timezone or "UTC"
    time = st.column_config.DatetimeColumn(mark("Time"), format="YYYY-MM-DD HH:mm:ss", timezone=zone, width=150)
    return columns_in_language({"time": time, **COLUMNS})


COLUMNS: dict[str, Any] = {
    "channel": st.column_config.TextColumn(mark("Channel"), width=140),
    "title": st.column_config.TextColumn(mark("Message"), width="large"),
    "status": st.column_config.TextColumn(mark("Status"), width=100),
    "tries": st.column_config.NumberColumn(mark("Tries"), width=60),
    "error": st.column_config.TextColumn(mark("Newest error"), width="large"),
}
