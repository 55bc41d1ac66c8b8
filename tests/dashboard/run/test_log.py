"""The log of a run: its end or its first error, lines that say something, and the whole of it as a file."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from backend.views import logs
from dashboard.run import log_download
from dashboard.run.log_download import LOG_DOWNLOAD, log_address
from tests.dashboard.pages import button_keys, open_page, shown
from tests.dashboard.studio import Studio

QUIET = "".join(f"[{n}/9000] t:{n} right\n" for n in range(9000))


@pytest.fixture
def files() -> Iterator[TestClient]:
    """The dashboard's downloads, without the login in front of them."""
    with TestClient(Starlette(routes=[LOG_DOWNLOAD])) as client:
        yield client


def log_of(studio: Studio, text: str, outcome: str | None = None) -> None:
    held = studio.claimed()
    held.send("log", text.encode())
    if outcome is not None:
        held.finish(outcome, "error" if outcome == "failed" else "stopped")


def test_log_of_a_failed_run_begins_with_its_first_error(studio: Studio) -> None:
    log_of(studio, QUIET + "error: the first\n" + QUIET + "error: the last\n", "failed")
    app = open_page("run", run="1", tab="Log")
    text = app.code[0].value
    assert text.index("error: the first") <= 1000
    assert "error: the last" not in text
    app.segmented_control(key="log_part").set_value("end").run()
    assert app.code[0].value.endswith("error: the last")


def test_log_of_a_stopped_run_shows_its_end(studio: Studio) -> None:
    log_of(studio, QUIET + "error: not the end\nthe end\n", "stopped")
    app = open_page("run", run="1", tab="Log")
    assert app.code[0].value.endswith("the end")
    assert "log_part" not in app.session_state


def test_lines_are_searched_for_in_the_whole_log(studio: Studio) -> None:
    log_of(studio, "warning: *one*\n" + QUIET + "WARNING two\n")
    app = open_page("run", run="1", tab="Log", log_level="warning")
    assert app.code[0].value == "warning: *one*\nWARNING two"
    assert "2 lines" in shown(app)
    app.text_input(key="log_text").set_value("TWO").run()
    assert app.code[0].value == "WARNING two"
    assert app.query_params["log_text"] == "TWO"
    app.text_input(key="log_text").set_value("nowhere").run()
    assert "No line matches." in [info.value for info in app.info]


def test_whole_log_is_handed_on_in_pieces(studio: Studio, files: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_download, "PIECE_BYTES", 1000)
    text = "né 🙂\n" * 1000
    log_of(studio, text, "stopped")
    with files.stream("GET", log_address(1, 1)) as reply:
        pieces = list(reply.iter_raw())
    assert b"".join(pieces).decode() == text
    assert max(map(len, pieces)) <= 1000
    assert studio.wire.paths().count("GET /runs/1/log") > len(text.encode()) / 1000
    assert reply.headers["content-disposition"] == 'attachment; filename="run-1-attempt-1.log"'
    assert reply.headers["content-type"].startswith("text/plain")


def test_log_that_is_not_there_is_said(studio: Studio, files: TestClient) -> None:
    missing = files.get(log_address(7, 1))
    assert (missing.status_code, "no run with this id" in missing.text) == (404, True)
    assert files.get("/download/runs/x/attempts/1/log").status_code == 404
    studio.wire.down = True
    assert files.get(log_address(1, 1)).status_code == 503


def test_search_goes_on_where_it_ended(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SCANNED_BYTES", 100_000)
    log_of(studio, "error: one\n" + QUIET + "error: two\n", "stopped")
    app = open_page("run", run="1", tab="Log", log_level="error")
    assert app.code[0].value == "error: one"
    for _ in range(2):
        app.button(key="log_on").click().run()
    assert app.code[0].value == "error: two"
    assert "log_on" not in button_keys(app)
    app.button(key="log_back").click().run()
    assert not app.code
