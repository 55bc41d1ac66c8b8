"""The tags and the group that a launched run, or a pipeline with all its runs, gets."""

from dataclasses import dataclass

import streamlit as st

from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import t
from dashboard.parts.tag_choice import GROUP_HELP, HELP, MOST, tag_names

TAGS, GROUP = "launch_tags", "launch_group"


@dataclass(frozen=True)
class Labels:
    """By which something is found and listed."""

    tags: tuple[str, ...] = ()
    group: str | None = None

    @property
    def named(self) -> dict[str, object]:
        """Those that there are, by their names in a request."""
        return ({"tags": list(self.tags)} if self.tags else {}) | ({"group": self.group} if self.group else {})


NO_LABELS = Labels()


def choose_labels() -> Labels:
    """Draw the choices; what was chosen outlives a visit to another page."""
    chosen = [*st.session_state.get(TAGS, []), *filter(None, [st.session_state.get(GROUP)])]
    names = list(dict.fromkeys([*tag_names(), *chosen]))
    left, right = st.columns([3, 2])
    tags = left.multiselect(
        t("Tags"), names, key=TAGS, accept_new_options=True, max_selections=MOST, format_func=one_line, help=t(HELP),
        placeholder=t("tags that are in use, or new ones"), persist_state="session", select_all=False,
    )  # fmt: skip
    group = right.selectbox(
        t("Group"), names, index=None, key=GROUP, accept_new_options=True, help=t(GROUP_HELP),
        format_func=one_line, placeholder=t("no group"), persist_state="session",
    )  # fmt: skip
    return Labels(tuple(tags), group or None)
