"""The queue page over canned replies: order, reasons, slots, the pause, and moving runs."""

from typing import Any

from tests.dashboard.test_dashboard_pages import open_page, shown


def queue_of(backend: Any, *priorities: int) -> None:
    for number, priority in enumerate(priorities, start=1):
        backend.add_run(number, "queued", priority=priority, waits_for=f"{number} runs stand before it.")


def test_empty_queue_says_what_happens_next(backend: Any) -> None:
    text = shown(open_page("queue"))
    assert "0 queued runs" in text
    assert "Nothing waits" in text
    assert "free" in text


def test_runs_stand_in_their_order_with_what_they_wait_for(backend: Any) -> None:
    queue_of(backend, 0, 4, 0)
    backend.busy = 9
    app = open_page("queue")
    links = [link.proto.label for link in app.get("page_link")]
    assert [label.split(" · ")[0] for label in links] == ["works on run 9", "run 2", "run 1", "run 3"]
    assert "2 runs stand before it. Priority 4." in shown(app).replace("\\", "")


def test_first_and_last_move_a_run_and_the_ends_have_nowhere_to_go(backend: Any) -> None:
    queue_of(backend, 0, 4, 0)
    app = open_page("queue")
    assert app.button(key="first_2").disabled
    assert app.button(key="last_3").disabled
    app.button(key="first_3").click().run()
    assert not app.exception
    assert backend.runs[3]["priority"] == 5
    app.button(key="last_3").click().run()
    assert backend.runs[3]["priority"] == -1


def test_pause_is_said_and_undone(backend: Any) -> None:
    queue_of(backend, 0)
    app = open_page("queue")
    app.button(key="pause").click().run()
    assert backend.paused
    assert "The queue is paused" in shown(app)
    assert app.button(key="pause").label == "Go on"
    app.button(key="pause").click().run()
    assert not backend.paused


def test_backend_that_is_away_is_said(backend: Any) -> None:
    backend.down = True
    assert "backend" in shown(open_page("queue")).lower()
