"""The list of runs, and what every page says when the backend is away or unwell."""

import pytest

from backend.api.client import Client, Unreachable
from backend.api.schemas import HealthOut
from dashboard.parts.health import health_troubles
from dashboard.parts.run_actions import LEFT_BEHIND
from tests.dashboard.pages import open_page, shown
from tests.dashboard.studio import Studio


def test_no_runs_invite_to_launch(studio: Studio) -> None:
    assert "No runs yet" in shown(open_page("runs"))


def test_files_that_a_deletion_left_behind_are_named_once(studio: Studio) -> None:
    app = open_page("runs")
    app.session_state[LEFT_BEHIND] = ["runs/1: Operation not permitted"]
    assert "- runs/1\\: Operation not permitted" in shown(app.run())
    assert "could not be removed" not in shown(app.run())


def test_filter_from_the_address_reaches_the_backend(studio: Studio) -> None:
    studio.failed()
    studio.evaluated(True)
    app = open_page("runs", status="failed")
    assert app.dataframe[0].value["run"].tolist() == [1]
    assert studio.wire.query("/runs")["status"] == "failed"


def test_filter_without_match_says_so(studio: Studio) -> None:
    studio.failed()
    app = open_page("runs")
    app.selectbox(key="status").select("running").run()
    assert "No run matches" in shown(app)
    assert app.query_params["status"] in ("running", ["running"])


@pytest.mark.parametrize(("page", "query"), [("", {}), ("launch", {}), ("run", {"run": "1"})])
def test_backend_that_does_not_answer_is_said_calmly(studio: Studio, page: str, query: dict[str, str]) -> None:
    studio.wire.down = True
    text = shown(open_page(page, **query))
    assert "does not answer" in text
    assert "make up" in text


def test_page_of_which_one_part_is_refused_waits_before_it_is_drawn_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_presets(_: Client) -> None:
        raise Unreachable("http://127.0.0.1", "something else answers there")

    monkeypatch.setattr(Client, "presets", no_presets)
    assert "does not answer" in shown(open_page("launch"))


def test_health_troubles_are_sentences() -> None:
    troubles = health_troubles(
        HealthOut(
            status="degraded",
            version="1",
            database="ok",
            broker="refused",
            reconciler_age_seconds=None,
            workers_alive=0,
            home_free_bytes=10,
        )
    )
    assert len(troubles) == 4
    assert "refused" in troubles[0]
