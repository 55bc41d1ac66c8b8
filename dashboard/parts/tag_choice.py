"""Tags: chosen for many at once, and edited where one run or pipeline is shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from backend.api.schemas import BulkOut, PipelinesOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line, sentence
from dashboard.parts.language import mark, t

ADD, REMOVE, GROUP = "tags_add", "tags_remove", "tags_group"
MOST, LONGEST = 20, 40  # tags of a run, characters of one
NO_GROUP = ""
SHOWN = 30  # characters of the tags beside a title
HELP = mark("Short words to find it by; upper case does not tell two apart.")
GROUP_HELP = mark("The tag that a run is listed and drawn with: sort by it, or draw the curves of a group.")


@dataclass(frozen=True)
class TagChange:
    """What is done with the tags."""

    add: tuple[str, ...]
    remove: tuple[str, ...]
    group: str | None
    """Empty for none; None leaves it."""


def forget_choice() -> None:
    """Begin with nothing chosen."""
    for key in (ADD, REMOVE, GROUP):
        st.session_state.pop(key, None)


def choose_tags(*, with_group: bool) -> TagChange | None:
    """Draw the choices; None while nothing is chosen."""
    names = tag_names()
    add = st.multiselect(
        t("Add"), names, key=ADD, accept_new_options=True, max_selections=MOST, format_func=one_line, help=t(HELP),
        placeholder=t("tags that are in use, or new ones"), select_all=False,
    )  # fmt: skip
    remove = st.multiselect(
        t("Take away"), names, key=REMOVE, format_func=one_line, placeholder=t("tags that are in use"), select_all=False
    )
    group = None
    if with_group:
        group = st.selectbox(
            t("Group"), [NO_GROUP, *names], index=None, key=GROUP, accept_new_options=True, help=t(GROUP_HELP),
            format_func=lambda name: one_line(name) or t("no group"), placeholder=t("stays as it is"),
        )  # fmt: skip
    change = TagChange(tuple(add), tuple(remove), group)
    return None if change == TagChange((), (), None) else change


def tag_names() -> list[str]:
    """Tags in use."""
    return [one.name for one in api.tags()]


Save = Callable[[Sequence[str], Sequence[str], str | None], BulkOut | PipelinesOut]


def tags_popover(number: int, tags: Sequence[str], save: Save, *, group: str | None = None, grouped: bool) -> None:
    """The tags of one run or pipeline; opened they can be changed.

    Args:
        number: of the run or pipeline.
        tags: that it has.
        save: sends tags to add, tags to take away, and the group.
        group: that it has.
        grouped: whether it can have one.
    """
    words = " · ".join(tags)
    label = escape_markdown(words if len(words) <= SHOWN else f"{words[:SHOWN]}…") if tags else t("Add tags")
    with st.popover(label, icon=":material/sell:", type="tertiary", key="tags", on_change="rerun") as popover:
        if not popover.open:
            return
        known = tag_names()
        chosen = st.multiselect(
            t("Tags"), sorted({*known, *tags}, key=str.casefold), list(tags), key=f"tags_of_{number}",
            accept_new_options=True, max_selections=MOST, format_func=one_line, help=t(HELP), select_all=False,
        )  # fmt: skip
        wanted_group = None
        if grouped:
            wanted_group = st.selectbox(
                t("Group"), [NO_GROUP, *chosen], index=chosen.index(group) + 1 if group in chosen else 0,
                key=f"group_of_{number}", format_func=lambda name: one_line(name) or t("no group"), help=t(GROUP_HELP),
            )  # fmt: skip
        if st.button(t("Save"), key="save_tags", type="primary"):
            _save(tags, chosen, wanted_group if wanted_group != (group or NO_GROUP) else None, save)


def _save(before: Sequence[str], after: Sequence[str], group: str | None, save: Save) -> None:
    add, remove = [name for name in after if name not in before], [name for name in before if name not in after]
    if not add and not remove and group is None:
        return
    with api.part_errors():
        reply = save(add, remove, group)
        problem = next((item.problem for item in reply.items if item.problem is not None), None)
        if problem is not None:
            st.error(f"{sentence(problem.message)}. {sentence(problem.way_out)}", icon=":material/error:")
            return
        api.forget_tags()
        st.rerun()
