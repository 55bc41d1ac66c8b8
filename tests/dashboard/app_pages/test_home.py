"""Home: the state of everything, by one request."""

import pytest

from backend.api.client import Client
from tests.backend.conftest import SLOT
from tests.dashboard.pages import button_keys, open_page, said
from tests.dashboard.studio import SFT, Studio, links, metric, progress

MANY = 24


def right(number: int) -> list[bool]:
    return [True] * number + [False] * (MANY - number)


def test_empty_home_offers_the_demo_by_one_click(studio: Studio) -> None:
    app = open_page()
    assert "Nothing has run yet" in said(app)
    assert {"run_demo", "to_launch"} <= button_keys(app)


@pytest.mark.parametrize("live", [False, True])
def test_home_is_drawn_by_two_requests(studio: Studio, live: bool) -> None:
    studio.evaluated(True)
    if live:
        studio.claimed()
    app = open_page()
    studio.wire.asked.clear()
    app.run()
    assert sorted(studio.wire.paths()) == ["GET /health", "GET /home"]


def test_run_under_way_shows_how_far_it_is_its_metric_and_its_warnings(studio: Studio) -> None:
    held = studio.claimed(**SFT, note="mine")
    held.say(*metric("train/loss", 2.0, 1.5), progress(2, 8))
    held.say(*({"event": "warning", "code": "w", "message": text} for text in ("one", "the gradient is 0")))
    app = open_page()
    assert "Run 1 · weaver\\_sft · SmolLM2\\-135M\\-Instruct · mine" in links(app)
    assert {one.label: one.value for one in app.metric}["train/loss"] == "1.5"
    assert "2 warnings, the last: the gradient is 0" in said(app)


def test_failure_says_why_and_what_to_do(studio: Studio) -> None:
    failure = {"code": "x", "message": "memory ran out", "way_out": "Take a smaller batch."}
    studio.claimed().finish("failed", "killed", failure=failure)
    app = open_page()
    assert "Needs attention" in said(app)
    assert "Memory ran out. Take a smaller batch." in said(app)


def test_waiting_runs_say_what_they_wait_for_and_lead_to_the_queue(studio: Studio) -> None:
    studio.many(7)
    app = open_page()
    assert "No worker is alive" in said(app)
    assert "2 more in the queue" in links(app)


def test_result_stands_against_its_base_and_leads_to_the_comparison(studio: Studio) -> None:
    base = studio.evaluated(*right(3))
    weaver = studio.trained()
    studio.evaluated(*right(20), setting="weaver", checkpoint=str(weaver))
    app = open_page()
    assert "**83.3 %** of 24 · **+70.8** points" in said(app)
    assert "trending_up: better]" in said(app)
    assert links(app)[f"against run {base}"] == f"runs={base}%2C3&base={base}"


@pytest.mark.parametrize(("live", "seconds"), [(False, 30), (True, 3)])
def test_home_asks_often_only_while_something_moves(
    studio: Studio, intervals: list[float], monkeypatch: pytest.MonkeyPatch, live: bool, seconds: float
) -> None:
    studio.evaluated(True)
    if live:
        studio.claimed()
    well = studio.client.health().model_copy(update={"status": "ok"})
    monkeypatch.setattr(Client, "health", lambda _: well)
    open_page()
    assert intervals == [seconds]


def test_link_to_the_list_of_earlier_versions_still_leads_there(studio: Studio) -> None:
    studio.failed()
    studio.evaluated(True)
    app = open_page(status="failed")
    assert app.dataframe[0].value["run"].tolist() == [1]


def test_backend_that_is_away_is_said(studio: Studio) -> None:
    studio.wire.down = True
    assert "does not answer" in said(open_page())


def test_machine_whose_slot_is_sick_says_why(studio: Studio) -> None:
    studio.evaluated(True)
    reason = {"code": "card_lost", "message": "GPU 0 does not answer", "way_out": "Restart the machine."}
    studio.announce(slots=[SLOT | {"sick": {"reason": reason, "seconds": 3.0, "asked_again_in": 90.0}}])
    assert "GPU 0 does not answer. Restart the machine. Asked again in 1 min 30 s." in said(open_page())
