"""The queue page: order, reasons, slots, the pause, and moving runs."""

from dashboard.parts.health import health_troubles
from tests.backend.conftest import SLOT, VERSIONS
from tests.dashboard.pages import open_page, said, shown
from tests.dashboard.studio import Studio


def queue_of(studio: Studio, *priorities: int) -> None:
    for priority in priorities:
        run_id = studio.submit()
        studio.clock.pass_time(1)
        studio.client.set_priority(run_id, priority)


def test_empty_queue_says_what_happens_next(studio: Studio) -> None:
    studio.announce()
    text = shown(open_page("queue"))
    assert "0 queued runs" in text
    assert "Nothing waits" in text
    assert "free" in text


def test_queue_without_a_worker_says_so(studio: Studio) -> None:
    assert "nothing starts until one is" in shown(open_page("queue"))


def test_runs_stand_in_their_order_with_what_they_wait_for(studio: Studio) -> None:
    studio.claimed()
    queue_of(studio, 0, 4, 0)
    studio.announce()
    app = open_page("queue")
    links = [link.proto.label for link in app.get("page_link")]
    assert [label.split(" · ")[0] for label in links] == ["works on run 1", "run 3", "run 2", "run 4"]
    assert "Slot cpu of lab is busy with run 1. Priority 4." in said(app)
    assert "Slot cpu of lab is busy with run 1, and 2 runs stand before it." in said(app)


def test_first_and_last_move_a_run_and_the_ends_have_nowhere_to_go(studio: Studio) -> None:
    queue_of(studio, 0, 4, 0)
    app = open_page("queue")
    assert app.button(key="first_2").disabled
    assert app.button(key="last_3").disabled
    app.button(key="first_3").click().run()
    assert not app.exception
    assert studio.run(3)["priority"] == 5
    app.button(key="last_3").click().run()
    assert studio.run(3)["priority"] == -1


def test_pause_is_said_and_undone(studio: Studio) -> None:
    queue_of(studio, 0)
    app = open_page("queue")
    app.button(key="pause").click().run()
    assert studio.get("/queue")["paused"]
    assert "The queue is paused" in shown(app)
    assert app.button(key="pause").label == "Go on"
    app.button(key="pause").click().run()
    assert not studio.get("/queue")["paused"]


def test_backend_that_is_away_is_said(studio: Studio) -> None:
    studio.wire.down = True
    text = shown(open_page("queue"))
    assert "does not answer" in text
    assert "queued run" not in text


def test_sick_slot_says_why_and_when_it_is_asked_again_here_and_in_the_sidebar(studio: Studio) -> None:
    queue_of(studio, 0)
    reason = {"code": "card_lost", "message": "GPU 0 does *not* answer", "way_out": "Restart `the machine`."}
    sick = {"sick": {"reason": reason, "seconds": 3.0, "asked_again_in": 90.0}}
    studio.announce(slots=[SLOT | {"name": "cpu0"} | sick, SLOT | {"name": "cpu1"}])
    app = open_page("queue")
    text = shown(app)
    assert "takes no work" in text
    assert "GPU 0 does \\*not\\* answer" in text
    assert "`the machine`" in text
    assert "Asked again in 1 min 30 s" in text
    assert "free" in text  # the other slot
    [trouble] = [one for one in health_troubles(studio.client.health()) if "cpu0" in one]
    assert trouble == "Slot cpu0 of lab takes no work: GPU 0 does *not* answer. Restart `the machine`."


def test_machine_says_what_it_is_and_is_drained_and_given_work_again_by_its_button(studio: Studio) -> None:
    queue_of(studio, 0)
    studio.announce(
        slots=[SLOT | {"name": "cpu0"}, SLOT | {"name": "cpu1"}],
        versions=VERSIONS | {"torch": "2.1"}, limits={"most_runs": 3, "memory_share": 0.5},
        clock=studio.clock() + 3600,
    )  # fmt: skip
    app = open_page("queue")
    text = shown(app)
    for part in ("torch 2\\.1", "at most 3 runs at once", "50 % of its memory", "its clock is 1 h"):
        assert part in text
    app.button(key="drain_slot_1").click().run()
    assert [slot["drained"] for slot in studio.get("/workers")["items"][0]["slots"]] == [False, True]
    assert app.button(key="drain_slot_1").label == "Take work again"
    app.button(key="drain_machine_0").click().run()
    assert not app.exception
    assert studio.get("/workers")["items"][0]["drained"]
    assert "drained" in shown(app)
    assert "drained" in shown(open_page("home"))
    app.button(key="drain_machine_0").click().run()
    assert not studio.get("/workers")["items"][0]["drained"]


def test_machine_of_another_version_says_why_it_is_given_no_work_here_and_in_the_sidebar(studio: Studio) -> None:
    studio.announce(versions=VERSIONS | {"memgen": "9.9"})
    text = shown(open_page("queue"))
    assert "is given no work" in text
    assert text.count("has version 9\\.9 of MemGen Studio") == 2, "of the machine and in the sidebar"
    assert any("has version 9.9" in one for one in health_troubles(studio.client.health()))
