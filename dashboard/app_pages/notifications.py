"""Notifications: channels that tell of runs, and what became of their messages."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import DeliveryStatus, NotificationsOut
from dashboard.notifications.channel_cards import channel_cards
from dashboard.notifications.channel_form import ADD, ask, channel_dialog, is_asked
from dashboard.notifications.message_log import message_log
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t
from dashboard.parts.text import as_utc

REFRESH_SECONDS = 2
SOON_SECONDS = 60.0  # a try that is further away is not waited for


def is_live(state: NotificationsOut, now: datetime) -> bool:
    """Whether a message is on its way, or will be in a moment."""
    return any(
        one.status is DeliveryStatus.SENDING
        or (one.next_try_at is not None and (as_utc(one.next_try_at) - now).total_seconds() < SOON_SECONDS)
        for one in state.deliveries
    )


def show(loaded: list[NotificationsOut], live: bool) -> None:
    """Channels and messages; drawn anew while something is on its way."""
    with api.part_errors():
        state = api.once(loaded, lambda: api.client().notifications())
        if live and not is_live(state, datetime.now(UTC)):
            st.rerun(scope="app")
        channel_cards(state.channels)
        message_log(state.deliveries)


for leftover in ("run", "tab", "pipeline"):
    st.query_params.pop(leftover, None)
st.title(t("Notifications"), anchor=False)
with api.page_errors():
    current = api.client().notifications()
channel_dialog(current.channels, current.limits)
with st.container(horizontal=True, vertical_alignment="center"):
    link = current.limits.dashboard_url
    st.caption(
        t("Messages link to {address}.", address=escape_markdown(link))
        if link
        else t("Messages carry no link: the operator has not set MEMGEN_DASHBOARD_URL.")
    )
    if st.button(t("Add a channel"), key="add_channel", icon=":material/add_alert:", type="primary"):
        ask(ADD)
        st.rerun()
moves = is_live(current, datetime.now(UTC)) and not is_asked()  # a dialog would be closed by a new drawing
st.fragment(show, run_every=REFRESH_SECONDS if moves else None)([current], moves)
