"""The whole pipeline on a running stack: real trainers on the tiny model, a step that is killed, and continue."""

import json
import os
import signal
from pathlib import Path

import pytest

from backend.api.schemas import PipelineOut
from backend.commands.demo import run_demo
from backend.settings import Settings
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.status import PipelineStatus, RunStatus
from tests.conftest import TINY
from tests.running_stack import RunningStack, is_alive, wait_until

SPEC = PipelineSpec(
    note="tiny",
    shared={"preset": TINY, "data": "wordproblems", "max_completion_length": 64},
    evaluations={"num_questions": 6, "batch_size": 6},
    steps={
        "weaver_sft": {"num_questions": 8, "max_steps": 2, "eval_questions": 4, "learning_rate": 0.01},
        "trigger_grpo": {
            "num_questions": 40, "num_train_epochs": 10, "batch_size": 4, "num_generations": 4, "max_steps": 14,
            "gradient_accumulation_steps": 1, "save_steps": 2, "sample_tokens": True, "learning_rate": 0.001,
        },
        "ltpo_eval": {"max_steps": 2},
    },
)  # fmt: skip


def ended(stack: RunningStack, pipeline_id: int, seconds: float) -> PipelineOut:
    """The pipeline once nothing of it moves."""
    found: list[PipelineOut] = []

    def has_ended() -> bool:
        with stack.client() as client:
            found.append(client.pipeline(pipeline_id))
        return found[-1].status is not PipelineStatus.RUNNING

    wait_until(has_ended, seconds, f"end of pipeline {pipeline_id}")
    return found[-1]


def last_step(stack: RunningStack, run_id: int) -> int:
    """The newest step of a training that the backend knows of."""
    with stack.client() as client:
        series = client.metrics(run_id, name="train/loss").series
    return series[0].steps[-1] if series else 0


@pytest.mark.timeout(400)
def test_killed_step_is_continued_without_doing_the_others_again(stack: RunningStack) -> None:
    with stack.client() as client:
        pipeline = client.submit_pipeline(SPEC)
    ids = {step.step: step.run.id for step in pipeline.steps if step.run is not None}
    fourth = ids["trigger_grpo"]
    stack.run_when(fourth, lambda run: run.status is RunStatus.RUNNING, 180, "start of the fourth step")
    pid = stack.supervisor(fourth, 1)["trainer_pid"]
    # the third step is told after the checkpoint of the second, so the backend knows of that one, too
    wait_until(lambda: last_step(stack, fourth) >= 3, 60, "a step after a checkpoint")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 10, "death of the trainer")
    fell = ended(stack, pipeline.id, 60)
    status = {step.step: step.run.status for step in fell.steps if step.run is not None}
    assert list(status.values()) == ["succeeded", "succeeded", "succeeded", "failed", "skipped", "skipped"]
    assert fell.steps[4].reason == f"Trigger GRPO (run {fourth}) failed: the trainer was killed by a signal"

    with stack.client() as client:
        client.continue_pipeline(pipeline.id)
    done = ended(stack, pipeline.id, 180)
    assert done.status is PipelineStatus.SUCCEEDED
    runs = {step.step: step.run for step in done.steps if step.run is not None}
    assert {name: run.num_attempts for name, run in runs.items()} == {
        "base_eval": 1, "weaver_sft": 1, "weaver_eval": 1, "trigger_grpo": 2, "trigger_eval": 1, "ltpo_eval": 1,
    }  # fmt: skip
    with stack.client() as client:
        lineage = {node.run_id: node for node in client.lineage(pipeline=pipeline.id).nodes}
        assert [one.status for one in lineage[fourth].attempts] == ["failed", "succeeded"]
        assert lineage[ids["ltpo_eval"]].parent_id == fourth
        steps = client.metrics(fourth, name="train/loss").series[0].steps
        assert steps == list(range(1, 15))
        trained = client.run(fourth)
        assert trained.attempts[1].resumes == 1
        rollouts = client.rollouts(fourth)
        assert [(one.step, one.groups) for one in rollouts.steps] == [(step, 1) for step in steps]
        assert len(rollouts.groups[0].completions) == 4
        (alarm,) = (one for one in trained.alarms if one.code == "no_variance")  # the tiny base answers nothing right
        assert alarm.attempt == 2, "the first had not done ten steps"
        compared = client.compare([ids[name] for name in ("base_eval", "weaver_eval", "trigger_eval", "ltpo_eval")])
        assert [one.setting for one in compared.items] == ["base", "weaver", "weaver+trigger", "weaver+trigger+ltpo"]
        assert all(one.num_questions == 6 for one in compared.items)


def test_outputs_lie_under_their_names_and_links_point_at_the_newest(stack: RunningStack) -> None:
    with stack.client() as client:
        steps = {step.step: step.run for step in client.pipelines().items[0].steps}
    for name, area, output in (
        ("base_eval", "evaluate", "evaluate/answer.json"),
        ("weaver_sft", "train", "weaver_sft/manifest.json"),
        ("weaver_eval", "evaluate", "evaluate/answer.json"),
        ("trigger_grpo", "train", "trigger_grpo/manifest.json"),
        ("ltpo_eval", "evaluate_ltpo", "evaluate/answer_ltpo.json"),
    ):
        run = steps[name]
        assert run is not None
        place = stack.home / area / "wordproblems" / "qwen2-242k"
        assert (place / str(run.id) / output).is_file()
        assert (stack.home / "logs" / f"{run.id}.log").is_file()
    trigger, weaver = steps["trigger_grpo"], steps["weaver_sft"]
    assert trigger is not None
    assert weaver is not None
    train = stack.home / "train" / "wordproblems" / "qwen2-242k"
    assert (train / "trigger_grpo").readlink() == Path(str(trigger.id)) / "trigger_grpo"
    parent = json.loads((train / "trigger_grpo" / "manifest.json").read_text())["parent"]
    with stack.client() as client:
        assert client.checkpoint(weaver.id).content_hash == parent


def test_command_line_shows_and_compares(stack: RunningStack) -> None:
    with stack.client() as client:
        pipeline = client.pipelines().items[0]
    shown = stack.command("pipeline", "show", str(pipeline.id))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("succeeded") == 7
    evaluations = [str(step.run.id) for step in pipeline.steps if step.run is not None and step.run.setting]
    compared = stack.command("compare", *evaluations)
    assert compared.returncode == 0, compared.stderr
    assert "Too few questions to tell" in compared.stdout
    assert stack.command("pipeline", "continue", str(pipeline.id)).returncode == 1
    refused = stack.command("pipeline", "run", "--set", "learning_rate=1")
    assert (refused.returncode, "WHERE.FIELD=VALUE" in refused.stderr) == (2, True)
    assert "foreign base" not in stack.command("checkpoints").stdout


def test_demo_uses_running_services_and_says_whether_every_step_succeeded(stack: RunningStack) -> None:
    said: list[str] = []
    settings = Settings(home=stack.home, port=stack.backend_port, token="")
    small = SPEC.model_copy(update={"include": ["base_eval"], "steps": {}, "evaluations": {"num_questions": 2}})
    assert run_demo(settings, said.append, small)
    assert f"using the services that run at http://127.0.0.1:{stack.backend_port}" in said
    assert any("Base evaluation" in line and "succeeded" in line for line in said)
    stopped = PipelineSpec.model_validate(small.model_dump() | {"evaluations": {"num_questions": 400}})

    def stop_once_it_runs(line: str) -> None:
        said.append(line)
        if "running" in line:
            with stack.client() as client:
                newest = client.pipelines().items[0]
                if newest.status is PipelineStatus.RUNNING:
                    client.stop_pipeline(newest.id)

    assert not run_demo(settings, stop_once_it_runs, stopped)
    assert any(line.endswith("cancelled") for line in said[-4:])


@pytest.mark.timeout(400)
def test_weaver_by_rewards_that_is_killed_goes_on_from_its_checkpoint_and_lies_under_its_name(
    stack: RunningStack,
) -> None:
    rewarded = {
        "num_questions": 40, "num_train_epochs": 10, "batch_size": 4, "num_generations": 4, "max_steps": 14,
        "save_steps": 2, "learning_rate": 0.001, "beta": 0.1,
    }  # fmt: skip
    spec = SPEC.model_copy(update={"include": ["base_eval", "weaver_grpo", "weaver_eval"], "steps": {}})
    with stack.client() as client:
        pipeline = client.submit_pipeline(spec.model_copy(update={"steps": {"weaver_grpo": rewarded}}))
    ids = {step.step: step.run.id for step in pipeline.steps if step.run is not None}
    training = ids["weaver_grpo"]
    stack.run_when(training, lambda run: run.status is RunStatus.RUNNING, 180, "start of the training")
    pid = stack.supervisor(training, 1)["trainer_pid"]
    wait_until(lambda: last_step(stack, training) >= 3, 60, "a step after a checkpoint")
    os.kill(pid, signal.SIGKILL)
    assert ended(stack, pipeline.id, 60).status is PipelineStatus.FAILED
    with stack.client() as client:
        client.continue_pipeline(pipeline.id)
    assert ended(stack, pipeline.id, 180).status is PipelineStatus.SUCCEEDED
    place = stack.home / "train" / "wordproblems" / "qwen2-242k"
    assert (place / "weaver_grpo").readlink() == Path(str(training)) / "weaver_grpo"
    assert json.loads((place / "weaver_grpo" / "manifest.json").read_text())["stage"] == "weaver_grpo"
    with stack.client() as client:
        assert client.metrics(training, name="train/loss").series[0].steps == list(range(1, 15))
        assert client.run(training).attempts[1].resumes == 1
        compared = client.compare([ids["base_eval"], ids["weaver_eval"]])
    assert [one.label for one in compared.items] == ["base", "weaver (weaver_grpo)"]
