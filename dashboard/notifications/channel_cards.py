"""The channels, a card each: where it leads, what it tells of, its newest message, and its buttons."""

from collections.abc import Sequence

import streamlit as st

from backend.api.schemas import STATUS_WORDS, ChannelOut
from dashboard.notifications.channel_form import CHANGE, DELETE, ask
from dashboard.notifications.words import LOOK, tries_words, wants, where
from dashboard.parts import api
from dashboard.parts.components import time_caption
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import mark, t


def channel_cards(channels: Sequence[ChannelOut]) -> None:
    """All channels."""
    if not channels:
        st.caption(t("No channel yet: nothing is told. Add one, choose what it tells of, and send a test."))
    for channel in channels:
        with st.container(border=True, key=f"channel_{channel.id}"):
            words, buttons = st.columns([5, 4], vertical_alignment="center")
            with words, st.container(gap="xsmall"):
                _describe(channel)
            with buttons:
                _buttons(channel)


def _describe(channel: ChannelOut) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"**{escape_markdown(channel.name)}**", width="content")
        if not channel.enabled:
            st.badge(t("off"), color="gray", icon=":material/notifications_off:")
    st.caption(f"{escape_markdown(where(channel))}. {escape_markdown(wants(channel))}")
    if channel.address_missing:
        st.warning(
            t("Its address is not here, as backups hold none. Change the channel and enter it again."),
            icon=":material/key_off:",
        )
    if channel.newest is not None:
        colour, icon = LOOK[channel.newest.status]
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.badge(t(STATUS_WORDS[channel.newest.status]), color=colour, icon=f":material/{icon}:")
            time_caption(mark("newest message {ago}"), channel.newest.created_at)
        if reason := tries_words(channel.newest):
            st.caption(sentence(reason))


def _buttons(channel: ChannelOut) -> None:
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if st.button(t("Send a test"), key=f"test_{channel.id}", icon=":material/send:") and api.attempt(
            lambda: api.client().test_channel(channel.id)
        ):
            st.rerun(scope="app")
        for what, label, icon in ((CHANGE, t("Change"), "edit"), (DELETE, t("Delete"), "delete")):
            if st.button(label, key=f"{what}_{channel.id}", icon=f":material/{icon}:"):
                ask(what, channel.id)
                st.rerun(scope="app")
