"""Alarms of runs: stored as trainers say them, shown with cause and remedy, and raised where no step comes any more."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from backend.services.alarms import unwatched
from backend.store.models import Alarm, Attempt
from memgen.contract.alarms import STALLED, find_rule
from tests.backend.conftest import Backend, Held
from tests.homes.home import unpack

TRAINING: dict[str, object] = {"stage": "weaver_sft", "num_questions": 8}
ALARM = {
    "event": "alarm",
    "code": "no_variance",
    "step": 12,
    "fact": "In the last 10 steps no question had two rewards.",
}


@pytest.fixture
def attempt(backend: Backend) -> Held:
    held = backend.started(**TRAINING)
    held.say({"event": "phase", "name": "train"})
    return held


def codes(backend: Backend, run_id: int = 1) -> list[str]:
    return [alarm["code"] for alarm in backend.run(run_id)["alarms"]]


def attention(backend: Backend) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = backend.get("/home")["attention"]
    return found


def step(held: Held, number: int, seconds: float, at: float) -> None:
    held.say(
        {"event": "metric", "name": "train/step_seconds", "step": number, "value": seconds, "time": at},
        {"event": "progress", "done": number, "total": 9, "unit": "steps", "time": at},
    )


def test_alarm_is_shown_with_cause_and_remedy_and_stands_in_the_history(backend: Backend, attempt: Held) -> None:
    attempt.say(ALARM)
    (alarm,) = backend.run(1)["alarms"]
    rule = find_rule("no_variance")
    assert rule is not None
    assert (alarm["title"], alarm["cause"], alarm["remedy"]) == (rule.title, rule.cause, rule.remedy)
    assert (alarm["fact"], alarm["step"], alarm["attempt"]) == (ALARM["fact"], 12, 1)
    (line,) = [event for event in backend.history(1) if event["kind"] == "alarm"]
    assert (line["actor"], line["detail"]) == ("trainer", f"{rule.title}: {ALARM['fact']}")


def test_each_rule_counts_once_over_all_attempts_and_nothing_from_before_a_retry(
    backend: Backend, attempt: Held
) -> None:
    attempt.say(ALARM, ALARM | {"code": "slow"})
    attempt.say({"event": "checkpoint", "step": 2, "path": "checkpoints/step-2"})
    attempt.finish("failed", "error")
    assert backend.user("POST", "/runs/1/resume").status_code == 200
    resumed = backend.held()
    resumed.say(ALARM, ALARM | {"code": "all_truncated"})
    assert codes(backend) == ["no_variance", "slow", "all_truncated"]
    assert len([event for event in backend.history(1) if event["kind"] == "alarm"]) == 4
    resumed.finish("failed", "error")
    assert backend.user("POST", "/runs/1/retry").status_code == 200
    backend.held().say({"event": "phase", "name": "train"})
    assert codes(backend) == []


def test_alarm_of_another_version_is_shown_as_far_as_it_is_known(backend: Backend, attempt: Held) -> None:
    attempt.say(ALARM | {"code": "of_tomorrow"})
    (alarm,) = backend.run(1)["alarms"]
    assert (alarm["title"], alarm["cause"], alarm["remedy"]) == ("of_tomorrow", "", "")


def test_home_shows_alarms_of_runs_under_way_and_for_a_day_of_those_that_ended(backend: Backend, attempt: Held) -> None:
    attempt.say(ALARM, ALARM | {"code": "slow", "fact": "A step takes 9 s."})
    (one,) = attention(backend)
    assert (one["kind"], one["run"]["id"]) == ("alarm", 1)
    assert one["text"].startswith("Steps have become slow (the last of 2 alarms). A step takes 9 s.")
    assert one["way_out"]
    backend.complete(attempt)
    assert [one["kind"] for one in attention(backend)] == ["alarm"]
    backend.clock.pass_time(90_000)
    assert attention(backend) == []


def test_failure_is_told_alone_where_a_run_has_raised_an_alarm_before(backend: Backend, attempt: Held) -> None:
    attempt.say(ALARM | {"code": "not_finite"})
    attempt.finish("failed", "error")
    assert [one["kind"] for one in attention(backend)] == ["failed"]
    assert codes(backend) == ["not_finite"]


def test_alarms_go_with_their_run(backend: Backend, attempt: Held) -> None:
    attempt.say(ALARM)
    attempt.finish("failed", "error")
    assert backend.user("DELETE", "/runs/1", params={"confirm": "true"}).status_code == 200
    assert attention(backend) == []


def test_training_without_a_step_for_many_times_what_one_takes_raises_an_alarm_once(
    backend: Backend, attempt: Held
) -> None:
    for number in range(1, 5):
        step(attempt, number, 20.0, backend.clock())
    for _ in range(82):  # 410 s, with beats
        backend.clock.pass_time(5)
        attempt.beat()
        backend.reconciler.round()
        if _ == 78:
            assert codes(backend) == [], "395 s are less than twenty steps"
    assert codes(backend) == [STALLED.code]
    (alarm,) = backend.run(1)["alarms"]
    assert (alarm["step"], alarm["fact"]) == (4, "No step for 405 s, and a step took 20 s.")
    assert len([event for event in backend.history(1) if event["kind"] == "alarm"]) == 1


def test_training_that_goes_on_slowly_does_not_stand_still(backend: Backend, attempt: Held) -> None:
    for number in range(1, 6):
        step(attempt, number, 100.0, backend.clock())
        for _ in range(20):
            backend.clock.pass_time(5)
            attempt.beat()
            backend.reconciler.round()
    assert codes(backend) == []


def test_run_that_ended_before_there_were_alarms_is_looked_at_once(backend: Backend, attempt: Held) -> None:
    share = {"event": "metric", "name": "train/frac_reward_zero_std", "value": 1.0}
    attempt.say(*(share | {"step": step, "time": 1000.0 + step} for step in range(1, 15)))
    attempt.finish("failed", "error")
    with backend.context.database.write() as session:
        session.get_one(Attempt, attempt.id).watched = False
    backend.reconciler.round()
    (alarm,) = backend.run(1)["alarms"]
    assert (alarm["code"], alarm["step"], alarm["time"]) == ("no_variance", 10, "1970-01-01T00:16:50Z")
    before = backend.history(1)
    backend.reconciler.round()
    assert backend.history(1) == before
    with backend.context.database.read() as session:
        assert session.get_one(Attempt, attempt.id).watched


def test_home_of_a_version_before_has_no_run_that_raises_an_alarm(start: Callable[..., Backend], home: Path) -> None:
    unpack(home)
    backend = start()
    with backend.context.database.read() as session:
        assert unwatched(session, 100), "nobody has looked at them"
    for _ in range(3):
        backend.reconciler.round()
    with backend.context.database.read() as session:
        assert unwatched(session, 100) == []
        assert list(session.exec(select(Alarm))) == []
