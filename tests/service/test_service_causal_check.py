"""Prompt styles and causal checks on a running stack: launched in two ways, killed, gone on with, and compared."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from memgen.contract.answers import AnswerRecord, read_answers
from memgen.contract.status import AttemptStatus, RunStatus
from tests.conftest import TINY
from tests.running_stack import RunningStack

SHARED = {"preset": TINY, "data": "wordproblems", "max_completion_length": 48}
EVALUATION = SHARED | {"stage": "evaluate", "num_questions": 12, "batch_size": 3}


def finished(stack: RunningStack, config: dict[str, Any]) -> int:
    with stack.client() as client:
        run_id = client.submit(config).id
    run = stack.run_ended(run_id)
    assert run.status is RunStatus.SUCCEEDED, run.failure
    return run_id


def answers(stack: RunningStack, run_id: int) -> list[AnswerRecord]:
    with stack.client() as client:
        path = stack.home / Path(str(client.run(run_id).output)) / "answer.json"
    found, summary = read_answers(path)
    assert summary is not None
    return sorted(found, key=lambda one: one.index)


@pytest.mark.timeout(400)
def test_styles_and_checks_are_launched_killed_resumed_and_compared(stack: RunningStack) -> None:
    weaver = finished(stack, SHARED | {"stage": "weaver_sft", "num_questions": 8, "max_steps": 2, "eval_questions": 0})
    done = stack.command(
        "launch", "--preset", TINY, "--data", "wordproblems", "--num-questions", "12", "--wait",
        "--set", "max_completion_length=48", "--set", "prompt_style=worked_examples", "--set", "num_examples=2",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    checked = EVALUATION | {"setting": "weaver", "checkpoint": str(weaver), "causal_check": "other_question"}
    whole = finished(stack, checked)
    with stack.client() as client:
        styled = client.runs(setting="base, 2 examples").items[0].id
        cut = client.submit(checked).id
    stack.run_when(cut, lambda run: run.summary.get("num_questions", 0) >= 3, 60, f"answers of run {cut}")
    os.kill(stack.supervisor(cut, 1)["pid"], signal.SIGKILL)
    run = stack.run_ended(cut)
    assert [attempt.status for attempt in run.attempts] == [AttemptStatus.LOST, AttemptStatus.SUCCEEDED]
    told = [
        [(one.completion, one.causal_check and one.causal_check.taken_from) for one in answers(stack, run_id)]
        for run_id in (whole, cut)
    ]
    assert told[0] == told[1]
    assert all(donor for _, donor in told[0])
    with stack.client() as client:
        reply = client.compare([styled, whole, cut], base=styled)
        assert len(client.run(styled).environment["worked_examples"]) == 2
    assert [item.setting for item in reply.items] == [
        "base, 2 examples",
        "weaver, latents of another question",
        "weaver, latents of another question",
    ]
    assert reply.conditions[f"prompt of run {styled}"].startswith("2 examples, ")
