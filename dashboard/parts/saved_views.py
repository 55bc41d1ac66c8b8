"""Views of a list: its filters and its order, kept under a name for everybody; chosen, renamed, deleted."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from backend.api.schemas import ListPage, SavedView
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import t
from dashboard.parts.order import PARAMETER, Order
from dashboard.parts.url_state import set_in_url

NAME, REPLACE, CHOSEN, RENAMED = "view_name", "view_replace", "view_chosen", "view_renamed"


def saved_views(page: ListPage, filters: Mapping[str, str], order: Order) -> None:
    """A popover with the views of a list.

    Args:
        page: of the list.
        filters: keys of the widgets of its filters by their parameters in the address.
        order: of the list.
    """
    with st.popover(t("Views"), icon=":material/bookmarks:", key="views", on_change="rerun") as popover:
        if not popover.open:
            return
        with api.part_errors():
            views = api.saved_views(page)
            for view in views:
                st.button(
                    escape_markdown(view.name), key=f"view_{view.id}", width="stretch", icon=":material/filter_list:",
                    on_click=_open, args=(view, filters, order),
                )  # fmt: skip
            if not views:
                st.caption(t("A view keeps the filters and the order of this list under a name, for everybody."))
            _save(page, [*filters, PARAMETER])
            if views:
                _change(views)


def _open(view: SavedView, filters: Mapping[str, str], order: Order) -> None:
    values = dict(parse_qsl(view.query))
    for parameter, key in filters.items():
        set_in_url(key, values.get(parameter), parameter=parameter)
    order.take(values.get(PARAMETER))
    st.session_state["views"] = False  # it would lie over the list


def _save(page: ListPage, parameters: Sequence[str]) -> None:
    query = urlencode({name: st.query_params[name] for name in parameters if name in st.query_params})
    with st.form("save_view", border=False, clear_on_submit=False):
        name = st.text_input(t("Name of this view"), key=NAME, max_chars=60, placeholder=t("e.g. failed this week"))
        replace = st.checkbox(t("Replace another view of this name"), key=REPLACE)
        saved = st.form_submit_button(t("Save this view"), key="save_view_button", icon=":material/bookmark_add:")
    if saved and api.attempt(lambda: api.client().save_view(page, name, query, replace=replace)):
        api.forget_saved_views()
        st.rerun()


def _change(views: Sequence[SavedView]) -> None:
    with st.expander(t("Rename or delete"), key="change_views"):
        by_id = {view.id: view for view in views}
        if st.session_state.get(CHOSEN) not in by_id:
            st.session_state.pop(CHOSEN, None)
        chosen = st.selectbox(
            t("View"), list(by_id), key=CHOSEN, format_func=lambda number: one_line(by_id[number].name)
        )
        name = st.text_input(t("Another name"), key=RENAMED, max_chars=60)
        with st.container(horizontal=True):
            renamed = st.button(t("Rename"), key="rename_view", icon=":material/edit:", disabled=not name)
            deleted = st.button(t("Delete"), key="delete_view", icon=":material/delete:")
        if (renamed and api.attempt(lambda: api.client().rename_view(chosen, name))) or (
            deleted and api.attempt(lambda: api.client().delete_view(chosen))
        ):
            api.forget_saved_views()
            st.rerun()
