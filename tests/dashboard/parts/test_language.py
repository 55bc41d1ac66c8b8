"""Texts in the language of the session, whichever thread asks, and what decides which language that is."""

import json
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts import catalogue as catalogue_module
from dashboard.parts.catalogue import catalogue
from dashboard.parts.language import mark, plural, preferred, t, translated


def in_language(code: str, script: Callable[[], None]) -> AppTest:
    app = AppTest.from_function(script)
    app.session_state["language"] = code
    return app.run()


def texts() -> None:
    from datetime import UTC, datetime, timedelta

    import streamlit as st

    from dashboard.parts.language import plural, t
    from dashboard.parts.text import about_count, ago, duration, percent

    now = datetime(2026, 11, 22, tzinfo=UTC)
    st.text(t("Run {number}", number=7))
    st.text(plural("{n} warning", "{n} warnings", 1200))
    st.text(duration(11_100))
    st.text(ago(now - timedelta(minutes=3), now))
    st.text(percent(0.395))
    st.text(about_count(134.5e6))
    st.text(about_count(1.544e9))


def test_texts_numbers_and_times_are_in_the_language_of_the_session() -> None:
    shown = {code: [one.value for one in in_language(code, texts).text] for code in ("ko", "en")}
    assert shown["ko"] == ["실행 7", "경고 1,200건", "3시간 5분", "3분 전", "39.5%", "1.34억", "15.4억"]
    assert shown["en"] == [
        "Run 7", "1,200 warnings", "3 h 5 min", "3 min ago", "39.5 %", "134 million", "1.54 billion",
    ]  # fmt: skip


def columns() -> None:
    import streamlit as st

    from dashboard.parts.language import columns_in_language
    from dashboard.run.runs_table import COLUMNS

    shown = columns_in_language(COLUMNS)
    st.json({name: [one["label"], one["help"], one["type_config"].get("options")] for name, one in shown.items()})


def test_columns_have_translated_labels_helps_and_options_and_the_stored_ones_stay_english() -> None:
    shown = json.loads(in_language("ko", columns).json[0].value)
    assert shown["questions"][:2] == ["n", "답한 문제"]
    assert {one["value"]: one["label"] for one in shown["status"][2]}["succeeded"] == "성공"
    english = json.loads(in_language("en", columns).json[0].value)
    assert english["questions"][:2] == ["n", "Questions answered"]


def tabs() -> None:
    import streamlit as st

    from dashboard.parts.named_tabs import named_tabs

    for number, tab in enumerate(named_tabs(["Overview", "Log", "History"], "tab", "tab")):
        if tab.open:
            st.text(str(number))


def test_a_tab_of_the_address_is_opened_by_its_english_name_in_every_language() -> None:
    app = AppTest.from_function(tabs)
    app.session_state["language"] = "ko"
    app.query_params["tab"] = "History"
    app.run()
    assert [one.value for one in app.text] == ["2"]
    assert [one.label for one in app.tabs] == ["개요", "로그", "이력"]


@pytest.mark.parametrize(
    ("given", "kept", "accepted", "language"),
    [
        (None, None, "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        (None, None, "fr-FR,ko;q=0.5", "ko"),
        (None, None, "fr", "en"),
        (None, None, None, "en"),
        (None, "ko", "en-US", "ko"),
        ("en", "ko", "ko-KR", "en"),
        ("xx", "yy", "ko", "ko"),
    ],
)
def test_address_goes_before_cookie_and_cookie_before_browser(
    given: str | None, kept: str | None, accepted: str | None, language: str
) -> None:
    assert preferred(given, kept, accepted) == language


def control() -> None:
    from dashboard.parts.language import choose_language, start_language

    start_language()
    choose_language()


@pytest.mark.parametrize("said", [None, "xx"])
def test_browser_that_says_no_language_gets_one_all_the_same(said: str | None) -> None:
    app = AppTest.from_function(control)
    app.query_params["lang"] = "ko"
    app.session_state["language"] = said
    app.run()
    assert not app.exception
    assert app.segmented_control(key="language").value == "ko"
    app.segmented_control(key="language").set_value(None).run()
    assert not app.exception
    assert (app.query_params["lang"], app.segmented_control(key="language").value) == ("ko", "ko")


def test_outside_of_a_session_texts_are_english() -> None:
    assert (t("Home"), plural("{n} run", "Each of {n} runs", 1), mark("Home")) == ("Home", "1 run", "Home")
    assert translated("ko", "Home") == "홈"


def test_a_text_that_has_no_translation_and_an_empty_one_stay_as_they_are() -> None:
    assert translated("ko", "Something that somebody wrote {so}") == "Something that somebody wrote {so}"
    assert translated("ko", "") == ""


def test_a_catalogue_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = catalogue("ko")
    monkeypatch.setattr(catalogue_module, "LOCALE", None)
    assert catalogue("ko") is first
