"""Texts in the language of who reads them, chosen per browser session and remembered.

The English text is the name of its message. `t` and `plural` are for sentences written here and for texts of records
(stages, fields, alarms); `mark` names a text where the language is not known yet, at import, and `t` translates it
where it is shown. Threads of one process serve several people: the language is looked up with each text, and never
installed.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.parts.catalogue import ENGLISH, LANGUAGES, catalogue

KEY = "language"
PARAMETER = "lang"
"""Of the address."""
COOKIE = "memgen_language"
COOKIE_SECONDS = 365 * 24 * 3600
_REMEMBER = "language_chosen"
# fixed texts and a code of `LANGUAGES`; nothing foreign is ever part of it
_TELL_BROWSER = "<script>document.documentElement.lang = 'LANGUAGE';</script>"
_KEEP = f"<script>document.cookie = '{COOKIE}=LANGUAGE; path=/; max-age={COOKIE_SECONDS}; samesite=lax';</script>"


def t(message: str, /, **parts: object) -> str:
    """A text in the session's language.

    Args:
        message: in English, with `{names}` where parts stand; whole sentences, as other languages order them otherwise.
        parts: by their names.
    """
    return translated(language(), message, **parts)


def plural(one: str, many: str, number: int, /, **parts: object) -> str:
    """A text about a number of things, which stands in it as `{n}`.

    Args:
        one: in English, about a single one.
        many: about any other number.
        number: of things.
        parts: other parts by their names.
    """
    return catalogue(language()).ngettext(one, many, number).format(n=f"{number:,}", **parts)


def mark(message: str) -> str:
    """The message itself, to be translated where it is shown."""
    return message


def mark_plural(one: str, many: str) -> tuple[str, str]:
    """The messages of `plural`, to be translated where they are shown."""
    return one, many


def translated(language: str, message: str, /, **parts: object) -> str:
    """A text in a language, where there is no session: on the login's pages."""
    text = catalogue(language).gettext(message) if message else ""
    return text.format(**parts) if parts else text


def language() -> str:
    """Code of the session's language; English outside of one."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ENGLISH
    chosen: str | None = st.session_state.get(KEY)
    return chosen if chosen in LANGUAGES else ENGLISH


def columns_in_language(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a table's columns with their labels, helps and options translated."""
    return {name: _column(settings) for name, settings in columns.items()}


def _column(settings: dict[str, Any]) -> dict[str, Any]:
    texts: dict[str, Any] = {part: t(settings[part]) for part in ("label", "help") if settings.get(part)}
    kind = settings.get("type_config") or {}
    if kind.get("type") == "multiselect":
        options = [one | {"label": t(str(one["value"]))} for one in kind["options"]]
        texts["type_config"] = kind | {"options": options}
    return settings | texts


def preferred(given: str | None, kept: str | None, accepted: str | None) -> str:
    """The language of somebody who has not chosen yet.

    Args:
        given: code in the address.
        kept: code in the cookie.
        accepted: what the browser asks for, as in the header `Accept-Language`.
    """
    for code in (given, kept):
        if code in LANGUAGES:
            return str(code)
    for part in (accepted or "").split(","):
        code = part.partition(";")[0].strip().partition("-")[0].lower()
        if code in LANGUAGES:
            return code
    return ENGLISH


def start_language() -> None:
    """At the top of the script: take the language from address, cookie or browser, once for each session.

    A browser that connects anew may say that nothing is chosen, though the control always has a choice.
    """
    if st.session_state.get(KEY) not in LANGUAGES:
        st.session_state[KEY] = preferred(
            st.query_params.get(PARAMETER), st.context.cookies.get(COOKIE), st.context.locale
        )


def choose_language() -> None:
    """Draw the choice; what is chosen stays in the address and, for a year, in a cookie."""
    st.segmented_control(
        "Language · 언어", list(LANGUAGES), key=KEY, required=True, format_func=LANGUAGES.__getitem__,
        label_visibility="collapsed", on_change=_chosen,
    )  # fmt: skip
    script = _TELL_BROWSER + (_KEEP if st.session_state.get(_REMEMBER) else "")
    st.html(script.replace("LANGUAGE", language()), unsafe_allow_javascript=True)


def _chosen() -> None:
    if st.session_state.get(KEY) in LANGUAGES:
        st.session_state[_REMEMBER] = True
        st.query_params[PARAMETER] = language()
