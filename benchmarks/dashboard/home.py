"""A home as large as the largest that the dashboard is for."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.dashboard.copies import copy_runs
from benchmarks.dashboard.house import House, open_house
from benchmarks.dashboard.lab import Lab, curves, rollouts
from benchmarks.dashboard.plan import SERIES, Scale
from memgen.contract.demo import small_spec
from memgen.contract.problem import Problem
from memgen.contract.rundir import write_json

Numbers = dict[str, int]
QUESTIONS = 20  # of what is copied
TOO_LONG = Problem(
    code="nothing_fits",
    message="every example is longer than the config allows",
    field="max_prompt_length",
    value="64",
    way_out="Raise max_prompt_length.",
)
_STEPS_AT_ONCE = 20_000 // SERIES


def filled(home: Path, scale: Scale) -> Numbers:
    """Fill a home, or take the one that an earlier call has filled alike.

    Returns:
        Numbers of what pages are opened for: `base` and `weaver` (evaluations with all answers), `largest` (a training
        with all points), `logged` (a failure with the long log), `grpo` (a training with rollouts), `pipeline`.
    """
    marker = home / "filled.json"
    if marker.exists():
        before = json.loads(marker.read_text(encoding="utf-8"))
        if before["scale"] == asdict(scale):
            numbers: Numbers = before["numbers"]
            return numbers
        raise FileExistsError(f"{home} is of another size; remove it, or name another MEMGEN_HOME")
    with open_house(home) as house:
        numbers = _fill(house, scale)
    write_json(marker, {"scale": asdict(scale), "numbers": numbers})
    return numbers


def fill_many(house: House, lab: Lab, number: int) -> int:
    """About so many runs, whole families at a time: base, weavers, triggers, their evaluations, failures, pipelines.

    Returns how many there are.
    """
    family(lab, QUESTIONS)
    lab.user.stop_pipeline(lab.user.submit_pipeline(small_spec()).id)
    there = lab.user.runs(limit=1).total
    assert there is not None
    with house.database() as session:
        return copy_runs(session, max(1, round(number / there) - 1))


def family(lab: Lab, questions: int) -> Numbers:
    """A base, a weaver and a trigger with their evaluations, and a failure; returns their numbers."""
    base = lab.evaluate(questions, 0.2, "base")
    weaver = lab.train("weaver_sft", note="weaver, seed 1")
    woven = lab.evaluate(questions, 0.8, "weaver, seed 1", setting="weaver", checkpoint=str(weaver))
    trigger = lab.train("trigger_grpo", note="trigger, seed 1", checkpoint=str(weaver))
    asked = lab.evaluate(questions, 0.85, "trigger, seed 1", setting="weaver+trigger", checkpoint=str(trigger))
    failed = lab.fail(
        TOO_LONG, "too short for its examples", stage="weaver_sft", num_questions=None, max_prompt_length=64
    )
    return {
        "base": base, "largest": weaver, "weaver": woven, "grpo": trigger, "trigger": asked, "failed": failed,
    }  # fmt: skip


def _fill(house: House, scale: Scale) -> Numbers:
    with house.user() as user, house.worker() as worker:
        lab = Lab(house.home, user, worker)
        fill_many(house, lab, scale.runs)
        base = lab.evaluate(scale.answers, 0.2, "base, all questions", data="gsm8k")
        largest = lab.begin("10^6 points", stage="weaver_sft", num_questions=None, data="gsm8k")
        steps = scale.points // SERIES
        for first in range(1, steps + 1, _STEPS_AT_ONCE):
            largest.say(*_points(range(first, min(steps, first + _STEPS_AT_ONCE - 1) + 1), steps))
        largest.succeed({"steps": steps, "seconds": steps * 1.0}, {})
        weaver = lab.evaluate(
            scale.answers, 0.8, "weaver, all questions", setting="weaver", checkpoint=str(largest.run_id), data="gsm8k"
        )
        grpo = lab.begin("rollouts", stage="weaver_grpo", num_questions=None, checkpoint=str(largest.run_id))
        grpo.say(*curves("weaver_grpo", range(1, 61), 60))
        grpo.send("rollouts", b"".join(rollouts(step) for step in range(1, 61)))
        grpo.succeed({"steps": 60, "seconds": 300.0}, {})
        logged = lab.begin("a long log", stage="evaluate", num_questions=8)
        for piece in _log(scale.log_bytes):
            logged.send("log", piece)
        logged.fail(TOO_LONG, "")
        pipelines = user.pipelines(limit=1).items
        return {
            "base": base, "weaver": weaver, "largest": largest.run_id, "grpo": grpo.run_id, "logged": logged.run_id,
            "pipeline": pipelines[0].id,
        }  # fmt: skip


def _points(steps: range, last: int) -> Iterator[dict[str, object]]:
    names = ["train/loss", "train/grad_norm", "train/learning_rate", *(f"train/other{n}" for n in range(SERIES - 3))]
    for step in steps:
        for place, name in enumerate(names):
            value = 1.0 / (1 + step / last) + (step * (place + 7) % 101) / 1000
            yield {"event": "metric", "name": name, "step": step, "value": value}


def _log(size: int) -> Iterator[bytes]:
    """A log of about that many bytes; its only error stands in the last lines."""
    line = "step {n:>9} loss 0.3512 learning rate 1.00e-05, 4 examples of 226 tokens in 1.13 s, as everywhere else\n"
    length = len(line.format(n=0))
    number, lines = 0, size // length
    while number < lines:
        count = min(40_000, lines - number)
        yield "".join(line.format(n=number + n) for n in range(count)).encode()
        number += count
    yield b"Traceback (most recent call last):\nRuntimeError: the only error of this log\n"
