"""A click means the row that was seen, whatever the list has become."""

from types import SimpleNamespace

import pytest
import streamlit as st

from dashboard.parts.row_clicks import clicked


def event(*row: int) -> SimpleNamespace:
    return SimpleNamespace(selection=SimpleNamespace(cells=[(one, "status") for one in row]))


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})


def test_row_of_the_table_as_it_was_drawn_counts() -> None:
    assert clicked("runs", event(), [12, 11]) is None
    assert clicked("runs", event(0), [13, 12, 11]) == 12
    assert clicked("others", event(0), [13, 12, 11]) == 13


def test_row_that_has_gone_is_found_and_one_that_never_was_is_none() -> None:
    assert clicked("runs", event(), [12, 11]) is None
    assert clicked("runs", event(1), [12]) == 11
    assert clicked("runs", event(1), [12]) is None
