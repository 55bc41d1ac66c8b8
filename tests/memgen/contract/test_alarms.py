"""Alarms: each rule fires within 20 steps on a stream of its own, and none on those of trainings that learn."""

import json
import math
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from memgen.contract.alarms import (
    ALIKE,
    BOXED,
    ENTROPY,
    GRADIENT,
    INSERT_RATE,
    LENGTH,
    LOSS,
    MOVED,
    NO_VARIANCE,
    REWARD,
    RULES,
    SECONDS,
    STALLED,
    TRUNCATED,
    VALIDATION,
    Alarm,
    Watch,
    find_rule,
    stall_fact,
    stalled_after,
)
from memgen.contract.events import Metric, read_event

HOMES = Path(__file__).parents[2] / "homes"
GOOD: dict[str, Any] = json.loads((Path(__file__).parent / "streams" / "good.json").read_text())
Stream = dict[str, Sequence[float]]
"""Values of metrics, from step 1 on."""

LINE = [0.5] * 20  # what stays as it is
RISES = [number / 20 for number in range(20)]
FIRES: dict[str, tuple[Stream, int]] = {
    "not_finite": ({LOSS: [2.0, 1.9, math.nan], GRADIENT: [1.0, 4.0, math.inf]}, 3),
    "no_gradient": ({LOSS: LINE, GRADIENT: [1.0, 0.5, *[0.0] * 18]}, 7),
    "zero_loss": ({LOSS: [2.0, *[0.0] * 19], GRADIENT: LINE}, 4),
    "no_variance": ({NO_VARIANCE: [0.5, *[1.0] * 19], REWARD: LINE, GRADIENT: [0.0] * 20}, 11),
    "all_truncated": ({TRUNCATED: [0.75, *[1.0] * 19]}, 6),
    "insert_rate_stuck": ({INSERT_RATE: [0.6, 0.9, 0.99, *[1.0] * 17]}, 13),
    "entropy_collapsed": ({ENTROPY: [0.6, 0.2, 0.05, *[0.001] * 17]}, 8),
    "format_falls": (
        {BOXED: [0.9 - 0.04 * n for n in range(20)], REWARD: [0.1 + 0.01 * n for n in range(20)]}, 16,
    ),
    "ltpo_still": ({MOVED: [0.0] * 20}, 8),
    "latents_alike": ({ALIKE: [0.4, 0.9, *[0.999] * 18]}, 7),
    "validation_rises": ({VALIDATION: [2.0, 1.5, 1.2, 1.21, 1.23, 1.25, 1.3]}, 7),
    "slow": ({SECONDS: [9.0, *[1.0] * 9, *[6.0] * 10]}, 15),
}  # fmt: skip
QUIET: dict[str, Stream] = {
    "gradient that is zero as rewards do not differ": {GRADIENT: [0.0] * 9, NO_VARIANCE: [1.0] * 9},
    "loss of zero that comes from rewards": {LOSS: [0.0] * 20, REWARD: LINE, GRADIENT: LINE},
    "one step with variance in ten": {NO_VARIANCE: [*[1.0] * 9, 0.5, *[1.0] * 9], GRADIENT: LINE},
    "one completion that ends": {TRUNCATED: [*[1.0] * 4, 0.97] * 4},
    "trigger that declines now and then": {INSERT_RATE: [*[1.0] * 9, 0.9] * 2},
    "entropy that is low for a while": {ENTROPY: [*[0.001] * 4, 0.02] * 4},
    "format that falls with the reward": {BOXED: RISES[::-1], REWARD: RISES[::-1]},
    "reward that rises with the format": {BOXED: RISES, REWARD: RISES},
    "latents that moved once": {MOVED: [0.0, 0.0, *[0.01] * 18]},
    "validation that goes up and down": {VALIDATION: [1.0, 1.05, 1.1, 1.08, 1.12, 1.15, 1.1]},
    "validation that rises within a hundredth": {VALIDATION: [1.0, 1.001, 1.002, 1.003, 1.004, 1.005]},
    "one slow step in a few": {SECONDS: [1.0] * 8 + [9.0, 9.0, 9.0, 9.0, 1.0] * 2},
    "steps that are slow as completions grow": {
        SECONDS: [1.0] * 10 + [5.0] * 10, LENGTH: [100.0] * 10 + [400.0] * 10,
    },
    "steps of milliseconds": {SECONDS: [0.01] * 10 + [0.2] * 10},
}  # fmt: skip


def alarms(stream: Stream, config: dict[str, Any] | None = None) -> list[Alarm]:
    """What fires on a stream, whose numbers come step by step."""
    watch, fired = Watch({"max_steps": 10} if config is None else config), []
    for step in range(1, max(map(len, stream.values())) + 1):
        for name, values in stream.items():
            if step <= len(values):
                fired += watch.see(name, step, values[step - 1])
    return fired


@pytest.mark.parametrize("code", [rule.code for rule in RULES if rule is not STALLED])
def test_rule_fires_once_on_its_stream_within_twenty_steps(code: str) -> None:
    stream, step = FIRES[code]
    (alarm,) = alarms(stream)
    assert (alarm.rule.code, alarm.step) == (code, step)
    assert step <= 20
    assert alarm.fact.endswith(".")


@pytest.mark.parametrize("stream", QUIET.values(), ids=QUIET)
def test_stream_next_to_a_rule_fires_nothing(stream: Stream) -> None:
    assert alarms(stream) == []


@pytest.mark.parametrize("code", FIRES)
@pytest.mark.parametrize("backwards", [False, True])
def test_order_of_a_steps_numbers_makes_no_difference(code: str, backwards: bool) -> None:
    stream, step = FIRES[code]
    turned = dict(reversed(stream.items())) if backwards else stream
    assert [(alarm.rule.code, alarm.step) for alarm in alarms(turned)] == [(code, step)]


def test_latents_that_shall_not_move_are_no_alarm() -> None:
    assert alarms(FIRES["ltpo_still"][0], {"max_steps": 0}) == []


@pytest.mark.parametrize("stage", GOOD)
def test_no_rule_fires_on_a_recorded_training_that_learns(stage: str) -> None:
    watch, numbers = Watch(GOOD[stage]["config"]), GOOD[stage]["numbers"]
    assert len(numbers) > 40
    assert [alarm.rule.code for number in numbers for alarm in watch.see(*number)] == []


def test_no_rule_fires_on_the_runs_of_a_home_of_a_version_before() -> None:
    seen = 0
    with tarfile.open(HOMES / "schema-3.tar.gz") as archive:
        for member in archive.getmembers():
            if not member.name.endswith("/events.jsonl"):
                continue
            watch, file = Watch({"max_steps": 2}), archive.extractfile(member)
            assert file is not None
            told = [event for line in file.read().splitlines() if isinstance(event := read_event(line), Metric)]
            assert [alarm.rule.code for one in told for alarm in watch.see(one.name, one.step, one.value)] == []
            seen += len(told)
    assert seen > 100


def test_training_stands_still_after_many_times_what_a_step_takes() -> None:
    assert stalled_after([1.0, 2.0]) is None, "nothing can be told of two steps"
    assert stalled_after([1.0, 2.0, 3.0]) == 300
    assert stalled_after([60.0, 30.0, 90.0]) == 1200
    assert stall_fact(1300.4, [60.0, 30.0, 90.0]) == "No step for 1,300 s, and a step took 60 s."


def test_each_rule_says_its_cause_and_its_remedy_in_whole_sentences() -> None:
    for rule in RULES:
        assert find_rule(rule.code) is rule
        assert rule.title[0].isupper()
        assert rule.cause.endswith(".")
        assert rule.remedy.endswith(".")
    assert find_rule("of another version") is None
    assert len({rule.code for rule in RULES}) == len(RULES)
