"""View state in the address, so that a view can be shared and survives a reload.

Streamlit's own binding of widgets to the address is not used: while a bound widget has a value,
`st.switch_page` fails. The browser's way back loses the query, so filters are also remembered.
"""

from collections.abc import Callable, Collection

import streamlit as st

_REMEMBERED = "remembered_{}"


def start_from_url(
    key: str, allowed: Collection[str] | None = None, *, remember: bool = False, parameter: str | None = None
) -> None:
    """Before its widget is drawn for the first time: take the widget's value from the address.

    Args:
        key: of the widget. Two pages must not share one: the widget of the second would come without its value.
        allowed: values that the widget knows; others are left out.
        remember: without a value in the address take the last one of this browser session.
        parameter: name of the query parameter, where it is not the key.
    """
    if key in st.session_state:
        return
    name = parameter or key
    given = st.query_params.get(name)
    if given is None and remember:
        given = st.session_state.get(_REMEMBERED.format(key))
    if given and (allowed is None or given in allowed):
        st.session_state[key] = given
        st.session_state[_REMEMBERED.format(key)] = given
        st.query_params[name] = given


def keep_in_url(key: str, default: str = "", *, parameter: str | None = None) -> Callable[[], None]:
    """An `on_change` that writes the widget's value to the address, as `parameter` or the key; the default is left
    out."""
    name = parameter or key

    def write() -> None:
        value = st.session_state.get(key)
        st.session_state[_REMEMBERED.format(key)] = value
        if value is None or value == default:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = str(value)

    return write


def set_in_url(key: str, value: str | None, *, parameter: str | None = None) -> None:
    """Before widgets are drawn: give a filter another value, as if the address had named it; None is no filter."""
    name = parameter or key
    st.session_state.pop(_REMEMBERED.format(key), None)
    if value is None:
        st.query_params.pop(name, None)
        st.session_state[key] = None
    else:
        st.query_params[name] = value
        st.session_state.pop(key, None)  # `start_from_url` takes it, if the widget knows it


def run_numbers(text: str) -> list[int]:
    """`1,3,5` as numbers, each once; what is no number is left out."""
    parts = [part.strip() for part in text.split(",")]
    return list(dict.fromkeys(int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) < 16))
