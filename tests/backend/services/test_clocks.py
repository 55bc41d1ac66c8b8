"""Machines whose clocks are wrong: nothing that is stored, shown or judged here depends on them."""

from datetime import datetime

import pytest

from backend.services.clocks import by_ours, seconds_ahead
from tests.backend.conftest import Backend, Held

HOUR = 3600.0


def say(held: Held, step: int, at: float, clock: float) -> None:
    """A step that the trainer wrote down at a time of its own clock, reported as the same clock shows another."""
    metric = {"event": "metric", "name": "train/step_seconds", "step": step, "value": 20.0, "time": at}
    progress = {"event": "progress", "done": step, "total": 9, "unit": "steps", "time": at}
    held.say(metric, progress, clock=clock)


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_training_on_a_machine_whose_clock_is_an_hour_off_has_the_times_of_the_backend(
    backend: Backend, ahead: float
) -> None:
    backend.submit(stage="weaver_sft", num_questions=8)
    backend.announce(clock=backend.clock() + ahead)
    assert backend.get("/workers")["items"][0]["clock_ahead"] == ahead
    held = backend.held(clock=backend.clock() + ahead)
    held.say({"event": "phase", "name": "train"}, clock=backend.clock() + ahead)
    began = backend.clock()
    for step in range(1, 5):
        backend.clock.pass_time(20)
        held.beat()
        say(held, step, backend.clock() + ahead, backend.clock() + ahead)
        backend.reconciler.round()
    run = backend.run(held.run_id)
    assert (run["alarms"], run["progress"]["seconds_left"]) == ([], pytest.approx(100.0))
    (series,) = backend.get(f"/runs/{held.run_id}/metrics", name="train/step_seconds")["series"]
    assert series["times"] == [began + 20 * step for step in range(1, 5)]
    for _ in range(82):  # 410 s without a step: that is noticed as on any other machine
        backend.clock.pass_time(5)
        held.beat()
        backend.reconciler.round()
    assert [one["code"] for one in backend.run(held.run_id)["alarms"]] == ["stalled"]
    claimed = datetime.fromisoformat(backend.run(held.run_id)["attempts"][0]["claimed_at"])
    assert claimed.timestamp() == pytest.approx(began)


def test_points_that_come_late_keep_the_time_at_which_they_were_made(backend: Backend) -> None:
    held = backend.started()
    made = backend.clock() + HOUR
    backend.clock.pass_time(30)  # the link was cut
    say(held, 1, made, backend.clock() + HOUR)
    (series,) = backend.get(f"/runs/{held.run_id}/metrics", name="train/step_seconds")["series"]
    assert series["times"] == [made - HOUR]


def test_clock_that_is_set_right_during_a_run_is_followed(backend: Backend) -> None:
    held = backend.started()
    say(held, 1, backend.clock() - HOUR, backend.clock() - HOUR)
    backend.clock.pass_time(20)
    say(held, 2, backend.clock(), backend.clock())
    (series,) = backend.get(f"/runs/{held.run_id}/metrics", name="train/step_seconds")["series"]
    assert series["times"] == [backend.clock() - 20, backend.clock()]


def test_supervisor_of_a_version_before_says_no_clock_and_its_times_stand(backend: Backend) -> None:
    held = backend.started()
    held.say({"event": "metric", "name": "m", "step": 1, "value": 1.0, "time": 5.0})
    assert backend.get(f"/runs/{held.run_id}/metrics", name="m")["series"][0]["times"] == [5.0]


def test_difference_of_a_few_seconds_is_none_and_a_known_one_stands_until_it_changes() -> None:
    assert [seconds_ahead(clock, 100.0) for clock in (None, 96.0, 104.0, 106.0, 90.0)] == [0.0, 0.0, 0.0, 6.0, -10.0]
    assert [seconds_ahead(clock, 100.0, 60.0) for clock in (None, 157.0, 101.0, 200.0)] == [60.0, 60.0, 0.0, 100.0]


def test_time_by_our_clock_is_none_that_is_still_to_come() -> None:
    assert by_ours(150.0, 60.0, at=100.0) == 90.0
    assert by_ours(190.0, 60.0, at=100.0) == 100.0
    assert by_ours(190.0, 0.0, at=100.0) == 190.0
