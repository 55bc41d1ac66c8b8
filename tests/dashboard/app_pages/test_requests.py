"""How many requests the drawing of a page sends, the sidebar's one for the health of the backend included."""

import pytest

from backend.api.client import Client
from dashboard.run.live_run import REFRESH_SECONDS
from memgen.contract.pipeline import STEPS
from tests.dashboard.pages import open_page
from tests.dashboard.studio import GRPO, Studio


def requests_of_a_rerun(studio: Studio, page: str, **query: str) -> list[str]:
    """Of a page that was drawn before, as after a change of a widget."""
    app = open_page(page, **query)
    studio.wire.asked.clear()
    app.run()
    assert not app.exception
    return sorted(studio.wire.paths())


@pytest.mark.parametrize("what", ["all", *STEPS])
def test_rerun_of_the_launch_page_sends_at_most_three_requests(studio: Studio, what: str) -> None:
    studio.trained(GRPO, checkpoint=str(studio.trained()))
    expected = {
        "all": ["GET /health", "GET /pipelines/candidates", "POST /pipelines/preflight"],
        "base_eval": ["GET /health", "POST /preflight"],
    }.get(what, ["GET /checkpoints", "GET /health", "POST /preflight"])
    asked = requests_of_a_rerun(studio, "launch", what=what)
    assert len(expected) <= 3
    assert asked in (expected, expected[:2])  # without a checkpoint there is nothing to check yet


def test_run_all_with_reused_runs_sends_no_request_for_each(studio: Studio) -> None:
    weaver = studio.trained(data="gsm8k")
    trigger = studio.trained(GRPO, checkpoint=str(weaver), data="gsm8k")
    asked = requests_of_a_rerun(studio, "launch", reuse_weaver_sft=str(weaver), reuse_trigger_grpo=str(trigger))
    assert asked == ["GET /health", "GET /pipelines/candidates", "POST /pipelines/preflight"]


@pytest.mark.parametrize("live", [False, True])
def test_rerun_of_the_runs_page_sends_two_requests(studio: Studio, live: bool) -> None:
    studio.failed()
    if live:
        studio.claimed()
    assert requests_of_a_rerun(studio, "runs") == ["GET /health", "GET /runs"]


def test_rerun_of_the_pages_of_pipelines_and_of_one_run_asks_once_for_what_it_shows(studio: Studio) -> None:
    studio.submit_pipeline()
    assert requests_of_a_rerun(studio, "pipelines") == ["GET /health", "GET /pipelines"]
    assert requests_of_a_rerun(studio, "checkpoints") == ["GET /checkpoints/results", "GET /health"]
    assert requests_of_a_rerun(studio, "pipeline", pipeline="1") == ["GET /health", "GET /pipelines/1"]
    assert requests_of_a_rerun(studio, "run", run="1", tab="Settings") == ["GET /health", "GET /runs/1"]


@pytest.mark.parametrize("tab", ["Overview", "Metrics", "Answers", "Log", "Settings", "History"])
def test_rerun_of_a_finished_runs_page_asks_for_the_run_alone_and_by_itself_it_asks_nothing(
    studio: Studio, intervals: list[float], monkeypatch: pytest.MonkeyPatch, tab: str
) -> None:
    run_id = studio.evaluated(True, False)
    assert requests_of_a_rerun(studio, "run", run=str(run_id), tab=tab) == ["GET /health", f"GET /runs/{run_id}"]
    well = studio.client.health().model_copy(update={"status": "ok"})
    monkeypatch.setattr(Client, "health", lambda _: well)
    app = open_page("run", run=str(run_id), tab=tab)
    intervals.clear()  # of Home, which was drawn first
    app.run()
    assert intervals == []


@pytest.mark.parametrize("tab", ["Overview", "Metrics", "Answers", "Log", "Settings", "History"])
def test_rerun_of_a_live_runs_page_sends_at_most_three_requests(
    studio: Studio, intervals: list[float], tab: str
) -> None:
    held = studio.claimed()
    point = {"event": "metric", "name": "eval/accuracy", "value": 1.0}
    held.say({"event": "phase", "name": "generate"}, point | {"step": 1})
    held.answer(0)
    held.send("log", b"one\n")
    app = open_page("run", run="1", tab=tab)
    held.say(point | {"step": 2})
    held.answer(1, right=False)
    held.send("log", b"two\n")
    studio.wire.asked.clear()
    app.run()
    asked = studio.wire.paths()
    assert len(asked) <= 3
    assert asked.count("GET /runs/1") == 1
    assert REFRESH_SECONDS in intervals
    studio.wire.asked.clear()
    open_page("run", run="1", tab=tab)  # another visitor, while nothing has moved
    assert set(studio.wire.paths()) <= {"GET /health", "GET /home", "GET /runs/1"}  # Home is drawn first


def test_schemas_are_asked_anew_of_another_version(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("launch")
    studio.wire.asked.clear()
    monkeypatch.setattr("backend.http.routes.house.__version__", "another")
    app.run()
    assert "GET /schema/evaluate" in studio.wire.paths()
