"""How many requests the drawing of a page sends, the sidebar's one for the health of the backend included."""

import pytest

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
    assert requests_of_a_rerun(studio, "pipeline", pipeline="1") == ["GET /health", "GET /pipelines/1"]
    assert requests_of_a_rerun(studio, "run", run="1", tab="Config") == ["GET /health", "GET /runs/1"]


def test_schemas_are_asked_anew_of_another_version(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("launch")
    studio.wire.asked.clear()
    monkeypatch.setattr("backend.http.routes.house.__version__", "another")
    app.run()
    assert "GET /schema/evaluate" in studio.wire.paths()
