"""The dialogs of channels: add one, change one, delete one. An address is typed in and never shown again."""

from typing import Any
from uuid import uuid4

import streamlit as st
from pydantic import SecretStr

from backend.api.schemas import (
    CHOOSABLE,
    EVENT_WORDS,
    KIND_WORDS,
    ChannelKind,
    ChannelOut,
    ChannelPut,
    NotificationLimits,
)
from backend.api.schemas.notifications import NAME_LENGTH
from dashboard.notifications.words import allowed
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t

ASKED, KEY, DONE = "channel_asked", "channel_key", "channel_done"
ADD, CHANGE, DELETE = "add", "change", "delete"


def ask(what: str, channel_id: int | None = None) -> None:
    """Open a dialog with the next drawing of the page."""
    st.session_state[ASKED] = (what, channel_id)
    st.session_state[KEY] = uuid4().hex  # a form that is sent twice makes one channel


def is_asked() -> bool:
    """Whether a dialog is open."""
    return ASKED in st.session_state


def channel_dialog(channels: list[ChannelOut], limits: NotificationLimits) -> None:
    """On the page itself: the dialog that was asked for, until it is closed; what was done is said once."""
    if done := st.session_state.pop(DONE, None):
        st.toast(done, icon=":material/check:")
    what, channel_id = st.session_state.get(ASKED, (None, None))
    channel = next((one for one in channels if one.id == channel_id), None)
    if what == ADD:
        _dialog(t("Add a channel"))(_add_dialog)(limits)
    elif what == CHANGE and channel is not None:
        _dialog(t("Change a channel"))(_change_dialog)(channel, limits)
    elif what == DELETE and channel is not None:
        _dialog(t("Delete this channel?"))(_delete_dialog)(channel)
    else:
        _forget()


def _dialog(title: str) -> Any:
    return st.dialog(title, width="medium", on_dismiss=_forget)


def _forget() -> None:
    st.session_state.pop(ASKED, None)


def _add_dialog(limits: NotificationLimits) -> None:
    kind = st.selectbox(t("Kind"), list(ChannelKind), key="channel_kind", format_func=lambda one: t(KIND_WORDS[one]))
    body = _fields(kind or ChannelKind.WEBHOOK, limits, None)
    if body is not None and api.attempt(lambda: api.client().create_channel(body, key=st.session_state[KEY])):
        _close(t("Channel {name} added. Send a test to see whether it arrives.", name=body.name))


def _change_dialog(channel: ChannelOut, limits: NotificationLimits) -> None:
    body = _fields(channel.kind, limits, channel)
    if body is not None and api.attempt(lambda: api.client().change_channel(channel.id, body)):
        _close(t("Channel {name} changed.", name=body.name))


def _delete_dialog(channel: ChannelOut) -> None:
    st.write(
        t(
            "{name} goes with its address and its messages, those on their way included.",
            name=escape_markdown(channel.name),
        )
    )
    with st.container(horizontal=True):
        confirmed = st.button(t("Delete for good"), key="confirm_delete_channel", type="primary")
        if st.button(t("Keep it"), key="keep_channel"):
            _forget()
            st.rerun()
    if confirmed and api.attempt(lambda: api.client().delete_channel(channel.id)):
        _close(t("Channel {name} deleted.", name=channel.name))


def _fields(kind: ChannelKind, limits: NotificationLimits, channel: ChannelOut | None) -> ChannelPut | None:
    """The form; what it holds once it is sent."""
    with st.form("channel_form", border=False):
        name = st.text_input(
            t("Name"), value=channel.name if channel else "", key="channel_name", max_chars=NAME_LENGTH,
            placeholder=t("e.g. lab channel"),
        )  # fmt: skip
        if kind is ChannelKind.EMAIL:
            address, recipients = "", _recipients(channel)
        else:
            address, recipients = _address(channel), []
        st.caption(escape_markdown(allowed(kind, limits)))
        events = st.multiselect(
            t("Tell when"), CHOOSABLE, default=channel.events if channel else CHOOSABLE, key="channel_events",
            format_func=lambda one: t(EVENT_WORDS[one]),
        )  # fmt: skip
        enabled = st.toggle(t("On"), value=channel.enabled if channel else True, key="channel_enabled")
        sent = st.form_submit_button(
            t("Save") if channel else t("Add"), key="save_channel", type="primary", icon=":material/check:"
        )
    if not sent:
        return None
    missing = t("A channel needs a name.") if not name.strip() else ""
    if not missing and not events:
        missing = t("A channel needs at least one event.")
    if missing:
        st.error(missing, icon=":material/error:")
        return None
    return ChannelPut(
        name=name.strip(), kind=kind, events=events, enabled=enabled, recipients=recipients,
        address=SecretStr(address) if address else None,
    )  # fmt: skip


def _address(channel: ChannelOut | None) -> str:
    keeps = channel is not None and not channel.address_missing
    address = st.text_input(
        t("Address"), key="channel_address", type="password", max_chars=2000, autocomplete="off",
        placeholder=t("stays as it is") if keeps else "https://",
        help=t("Of the webhook. Whoever knows it can write in its name: it is kept, and never shown again."),
    )  # fmt: skip
    return address.strip()


def _recipients(channel: ChannelOut | None) -> list[str]:
    text = st.text_input(
        t("Recipients"), value=", ".join(channel.recipients) if channel else "", key="channel_recipients",
        placeholder="someone@example.org, others@example.org", help=t("Separated by commas."),
    )  # fmt: skip
    return [one.strip() for one in text.split(",") if one.strip()]


def _close(said: str) -> None:
    _forget()
    st.session_state[DONE] = escape_markdown(said)
    st.rerun()
