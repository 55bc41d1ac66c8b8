"""Several processes on one run, started as a user does, on the CPU (gloo): the numbers of one process, and one end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from memgen.contract.answers import AnswerRecord, read_answers
from memgen.contract.config import RunConfig
from memgen.contract.presets import get_preset
from memgen.contract.rollouts import RolloutGroup
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_ERROR, EXIT_STOPPED, RunDir
from memgen.model.authors_layout import import_authors
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.training import Diverged
from tests.conftest import GOLDEN, TINY
from tests.memgen.stages.running import config_of, events, metric, run
from tests.running_stack import is_alive, wait_until
from tests.warm_python import warm_python


@contextmanager
def ranks(config: RunConfig, out: Path, *words: str, python: str) -> Iterator[subprocess.Popen[str]]:
    """`memgen run` with two processes, under way; what it prints goes to `out.log`."""
    path = out.with_suffix(".json")
    path.write_text(config.model_dump_json(exclude_none=True))
    command = [python, "-m", "memgen", "run", str(path), "--out", str(out), "--num-processes", "2", *words]
    options: dict[str, Any] = {"text": True, "env": os.environ | {"TMPDIR": str(out.parent)}}
    with out.with_suffix(".log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, **options) as top:
        try:
            yield top
        finally:
            top.kill()


def two(config: RunConfig, out: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of a run with two processes."""
    with ranks(config, out, *words, python=warm_python()) as top:
        code = top.wait(120)
    return code, out.with_suffix(".log").read_text()


def children(top: subprocess.Popen[str]) -> list[int]:
    return [child.pid for child in psutil.Process(top.pid).children(recursive=True)]


def steps(folder: Path) -> Callable[[], int]:
    return lambda: len(metric(folder, "train/loss")) if (folder / "events.jsonl").exists() else 0


def assert_same_training(one: Path, *parts: Path, stage: str) -> None:
    """The metrics of several attempts together, and the final weights of the last, are those of one process."""
    names = {event["name"] for event in events(one, "metric")} - {"train/step_seconds"}
    for name in names:
        together: dict[int, float] = {}
        for part in parts:
            together |= metric(part, name)
        assert together == pytest.approx(metric(one, name), rel=1e-5, abs=1e-6), name
    for path in (one / stage).glob("*.safetensors"):
        weights, others = load_file(path), load_file(parts[-1] / stage / path.name)
        assert weights.keys() == others.keys()
        for key, value in weights.items():
            assert torch.allclose(value, others[key], atol=1e-3), (
                key
            )  # Adam turns rounding of small gradients into steps


def test_weaver_sft_of_two_that_are_killed_and_resumed_equals_that_of_one(home: Path, tmp_path: Path) -> None:
    config = config_of(
        stage="weaver_sft", num_questions=9, num_train_epochs=8, batch_size=4, learning_rate=0.003, lora_dropout=0.0,
        skip_probability=0.2,
        eval_questions=6, eval_steps=4, save_steps=1,
    )  # fmt: skip
    run(home, tmp_path / "one", config)  # the last of an epoch's three steps has one row: one rank has none
    first, second = tmp_path / "first", tmp_path / "second"
    with ranks(config, first, python=sys.executable) as top:
        wait_until(lambda: steps(first)() >= 3, 120, "third step")
        own = children(top)
        top.kill()
    assert len(own) == 2
    wait_until(lambda: not any(map(is_alive, own)), 5, "end of all ranks")
    code, log = two(config, second, "--resume", str(first))
    assert code == 0, log
    assert steps(second)() < 24, "it goes on from a checkpoint"
    assert_same_training(tmp_path / "one", first, second, stage="weaver_sft")
    environment = json.loads(RunDir(second).environment.read_text())
    assert (environment["num_processes"], environment["backend"]) == (2, "gloo")
    assert log.count("step 24/24") == 1, "one process speaks"


@pytest.mark.long
def test_trigger_grpo_of_two_that_is_stopped_and_resumed_equals_that_of_one(
    home: Path, tmp_path: Path, weaver: Path
) -> None:
    config = config_of(
        stage="trigger_grpo", checkpoint=str(weaver), num_questions=24, batch_size=4, num_generations=4,
        gradient_accumulation_steps=2, max_completion_length=24, sample_tokens=True, learning_rate=0.003,
        num_iterations=2, beta=0.1,
        insertion_penalty=1.0,  # makes rewards differ, as the tiny base answers nothing right
    )  # fmt: skip
    run(home, tmp_path / "one", config)
    assert any(metric(tmp_path / "one", "train/grad_norm").values())
    out = tmp_path / "two"
    with ranks(config, out, python=warm_python()) as top:
        wait_until(lambda: steps(out)() >= 3, 120, "third step")
        top.send_signal(signal.SIGTERM)
        assert top.wait(30) == EXIT_STOPPED
    done = steps(out)()
    assert RunDir(out, "trigger_grpo").saved_steps() == [done]
    code, log = two(config, out, "--resume", str(out))
    assert code == 0, log
    assert min(metric(out, "train/loss")) == 1
    one, both = (RunDir(folder).rollouts.read_text().splitlines() for folder in (tmp_path / "one", out))
    groups = [[RolloutGroup.model_validate_json(line) for line in lines] for lines in (one, both)]
    for alone, shared in zip(*groups, strict=True):  # every rank's completions stand there once, in one order
        assert (shared.step, shared.place, shared.id) == (alone.step, alone.place, alone.id)
        assert [row.completion for row in shared.completions] == [row.completion for row in alone.completions]
        assert [row.reward for row in shared.completions] == pytest.approx([row.reward for row in alone.completions])
    assert_same_training(tmp_path / "one", out, stage="trigger_grpo")


REWARD = "float(sum(map(ord, text)) % 2)"  # the tiny base answers nothing right


def test_weaver_grpo_of_two_that_is_stopped_and_resumed_equals_that_of_one(
    home: Path, tmp_path: Path, weaver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = tmp_path / "patch"
    patch.mkdir()
    rewarded = f"from memgen.stages import rollout\nrollout.accuracy = lambda text, *_, **__: {REWARD}\n"
    (patch / "sitecustomize.py").write_text(rewarded)
    monkeypatch.setenv("PYTHONPATH", str(patch))
    monkeypatch.setattr("memgen.stages.rollout.accuracy", eval(f"lambda text, *_, **__: {REWARD}"))
    config = config_of(
        stage="weaver_grpo", checkpoint=str(weaver), num_questions=12, num_train_epochs=2, batch_size=4,
        gradient_accumulation_steps=2, num_generations=4, max_completion_length=24, learning_rate=0.003,
        num_iterations=2, beta=0.1,
    )  # fmt: skip
    run(home, tmp_path / "one", config)
    assert any(metric(tmp_path / "one", "train/grad_norm").values())
    out = tmp_path / "two"
    with ranks(config, out, python=warm_python()) as top:
        wait_until(lambda: steps(out)() >= 3, 120, "third step")
        top.send_signal(signal.SIGTERM)
        assert top.wait(30) == EXIT_STOPPED
    assert RunDir(out, "weaver_grpo").saved_steps() == [steps(out)()]
    code, log = two(config, out, "--resume", str(out))
    assert code == 0, log
    assert_same_training(tmp_path / "one", out, stage="weaver_grpo")


def answers(folder: Path) -> list[AnswerRecord]:
    found, summary = read_answers(RunDir(folder).answers)
    assert summary is not None
    assert summary.summary_metrics["num_questions"] == len(found) == len({answer.id for answer in found})
    return sorted(found, key=lambda answer: answer.index)


def told(folder: Path) -> list[dict[str, Any]]:
    """What an answer is, without its times, and without a likelihood: other rows beside it change its rounding."""
    left_out = {"seconds": True, "elapsed": True, "metrics": {"nll"}}
    return [answer.model_dump(exclude=left_out) for answer in answers(folder)]


def test_evaluation_of_two_one_of_which_is_killed_ends_and_resumes_to_the_answers_of_one(
    home: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"
    import_authors(GOLDEN / "a" / "checkpoint", get_preset(TINY), checkpoint, home, Monitor(None))
    config = config_of(
        stage="evaluate", setting="weaver+trigger", checkpoint=str(checkpoint), num_questions=151, batch_size=4,
        max_completion_length=24, nll=True,
    )  # fmt: skip
    run(home, tmp_path / "one", config)
    out = tmp_path / "two"
    with ranks(config, out, python=sys.executable) as top:
        wait_until(lambda: RunDir(out).answers.exists() and RunDir(out).answers.read_bytes(), 120, "first answer")
        own = children(top)
        os.kill(own[1], signal.SIGKILL)
        assert top.wait(10) == EXIT_ERROR
    assert not any(map(is_alive, own))
    assert events(out, "failed")[-1]["code"] == "killed"
    assert "process 1 of the run was killed by signal 9" in out.with_suffix(".log").read_text()
    kept = RunDir(out).answers.read_bytes()
    code, log = two(config, out, "--resume", str(out))
    assert code == 0, log
    assert RunDir(out).answers.read_bytes().startswith(kept.rpartition(b"\n")[0])
    assert told(out) == told(tmp_path / "one")
    likely, expected = ({one.id: one.metrics["nll"] for one in answers(folder)} for folder in (out, tmp_path / "one"))
    assert likely == pytest.approx(expected, rel=1e-5)
    assert not RunDir(out).answer_parts()


def test_base_evaluation_of_fewer_questions_than_two_have_places_equals_that_of_one(
    home: Path, tmp_path: Path, tiny_config: dict[str, object]
) -> None:
    config = config_of(**(tiny_config | {"num_questions": 5}))
    run(home, tmp_path / "one", config)
    code, log = two(config, tmp_path / "two")
    assert code == 0, log
    assert [answer.index for answer in answers(tmp_path / "two")] == [0, 1, 2, 3, 4]
    assert told(tmp_path / "two") == told(tmp_path / "one")
    assert list(metric(tmp_path / "two", "eval/accuracy")) == [1, 2, 3, 4, 5], "progress is told answer by answer"


def test_error_of_all_ranks_is_told_once_with_its_exit_code(
    home: Path, tmp_path: Path, tiny_config: dict[str, object]
) -> None:
    code, log = two(config_of(**(tiny_config | {"max_prompt_length": 16})), tmp_path / "two")
    assert code == EXIT_BAD_INPUT
    assert log.count("max_prompt_length") == 2  # the field, and the way out
    assert "Traceback" not in log
    (failed,) = events(tmp_path / "two", "failed")
    assert (failed["code"], failed["field"]) == ("prompt_too_long", "max_prompt_length")


class SecondOfTwo(Team):
    """The other rank has the same."""

    rank, size = 1, 2

    def gather(self, items: list[Any]) -> list[Any]:
        return items * 2


def test_ranks_draw_dropout_of_their_own(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(stage="weaver_sft", num_questions=4, batch_size=4, max_steps=2, eval_questions=0)
    seeds: dict[str, list[int]] = {}
    for name, team in (("main", Team()), ("second", SecondOfTwo())):
        with monkeypatch.context() as patch:
            patch.setattr("memgen.stages.training.torch.manual_seed", seeds.setdefault(name, []).append)
            run(home, tmp_path / name, config, team=team)
    first, second = seeds["main"], seeds["second"]
    assert first[0] == second[0], "a new model starts from the same weights"
    assert len(first) == len(second) == 3
    assert not set(first[1:]) & set(second[1:])
    assert not list((tmp_path / "second").glob("*_sft")), "the main process alone writes"


class WithOneThatStrayed(Team):
    """The other rank has the same, except for the hash of its weights."""

    size = 2

    def gather(self, items: list[Any]) -> list[Any]:
        return [*items, *("other" if isinstance(item, str) else item for item in items)]


def test_weights_that_are_not_those_of_all_ranks_are_not_saved(home: Path, tmp_path: Path) -> None:
    config = config_of(stage="weaver_sft", num_questions=4, batch_size=4, max_steps=2, eval_questions=0, save_steps=1)
    with pytest.raises(Diverged, match="the weights of the 2 processes differ after step 1"):
        run(home, tmp_path / "run", config, team=WithOneThatStrayed())
    assert RunDir(tmp_path / "run", "weaver_sft").saved_steps() == []
