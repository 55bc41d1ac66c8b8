"""A button in a row means the row that was seen, whatever the list has become."""

from collections.abc import Iterator
from typing import Any

import pytest
import streamlit as st

from dashboard.parts.row_clicks import opened


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    state: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", state)
    yield state


def test_row_of_the_table_as_it_was_drawn_counts(session: dict[str, Any]) -> None:
    assert opened("runs", [12, 11]) is None
    session["runs_open"] = {"row": 0, "label": "12"}
    assert opened("runs", [13, 12, 11]) == 12
    assert opened("others", [13, 12, 11]) is None


def test_row_that_has_gone_is_found_and_one_that_never_was_is_none(session: dict[str, Any]) -> None:
    assert opened("runs", [12, 11]) is None
    session["runs_open"] = {"row": 1, "label": "11"}
    assert opened("runs", [12]) == 11
    assert opened("runs", [12]) is None
