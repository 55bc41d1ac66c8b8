"""LoRA GRPO on the tiny base: trl's trainer as one of our trainings."""

import statistics
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer

from memgen.contract.config import RunConfig
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.manifest import read_manifest
from memgen.contract.rollouts import RolloutGroup
from memgen.contract.rundir import RunDir
from memgen.data import load_questions
from memgen.data.prompt import question_prompt
from memgen.stages.training import batch_of, drawn
from memgen.stop import Stopped
from tests.memgen.stages.running import Killed, StopWhen, config_of, metric, run
from tests.memgen.stages.trl_trainers import Losses, kill_after, loaded_base


def fives(completions: list[str], **_: Any) -> list[float]:
    """A reward that the tiny model gets now and then: how often it writes a vowel."""
    return [sum(one.count(letter) for letter in "aeiou") / (1 + len(one)) for one in completions]


def epoch_of(count: int, epoch: int) -> list[int]:
    """The order of an epoch's questions, as our own GRPO stages have it."""
    return [row for number in range(count) for row in batch_of(count, 1, epoch * count + number, 42)]


@pytest.fixture
def config(home: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setattr("memgen.stages.lora_grpo.correctness", lambda completions, *_: fives(completions))
    return config_of(
        stage="lora_grpo", num_questions=10, num_train_epochs=3, batch_size=4, num_generations=2, learning_rate=0.01,
        max_completion_length=12, save_steps=2, max_steps=10,
    )  # fmt: skip


def test_first_ten_steps_are_those_of_trls_trainer_run_by_hand_on_the_same_rows(
    home: Path, tmp_path: Path, config: RunConfig
) -> None:
    run(home, tmp_path / "run", config)
    base, chosen, seen = loaded_base(), data_set("wordproblems"), Losses()
    rows = drawn(load_questions("wordproblems", "train", seed=42), 10, 42)
    prompts = [question_prompt(chosen, rows[index].question) for epoch in range(2) for index in epoch_of(10, epoch)]
    trainer = GRPOTrainer(
        base.model,
        reward_funcs=fives,
        args=GRPOConfig(
            str(tmp_path / "hand"), max_steps=10, per_device_train_batch_size=4, num_generations=2, learning_rate=0.01,
            lr_scheduler_type="cosine", warmup_steps=1, weight_decay=0.0, gradient_checkpointing=False, bf16=False,
            use_cpu=True, seed=42, logging_steps=1, report_to="none", save_strategy="no", max_completion_length=12,
            temperature=1.0, loss_type="grpo", scale_rewards="none", beta=0.0, num_iterations=1,
            shuffle_dataset=False,
        ),
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
        processing_class=base.tokenizer,
        peft_config=LoraConfig(
            r=16, lora_alpha=32, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
        ),
        callbacks=[seen],
    )  # fmt: skip
    trainer.train()
    assert len(seen.losses) == 10
    assert list(metric(tmp_path / "run", "train/reward").values()) == seen.named("reward")
    assert list(metric(tmp_path / "run", "train/loss").values()) == pytest.approx(seen.losses, rel=1e-5, abs=1e-8)
    assert max(metric(tmp_path / "run", "train/grad_norm").values()) > 0


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="plain"),
        pytest.param(
            {"num_iterations": 2, "beta": 0.1, "gradient_accumulation_steps": 2, "lora_dropout": 0.1, "max_steps": 8},
            id="with several iterations, batches and a divergence",
            marks=pytest.mark.long,
        ),
    ],
)
def test_killed_and_resumed_equals_uninterrupted_loss_by_loss(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    config = config_of(**config.model_dump(exclude_none=True) | fields)
    run(home, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 7)
        run(home, tmp_path / "first", config)
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    for name in ("train/loss", "train/reward", "train/grad_norm", "train/learning_rate", "train/tokens_seen"):
        whole = metric(tmp_path / "whole", name)
        first, second = (metric(tmp_path / part, name) for part in ("first", "second"))
        assert min(second) == 7
        assert {**first, **second} == whole
    rollouts = [RunDir(tmp_path / part).rollouts.read_text().splitlines() for part in ("whole", "second")]
    assert rollouts[0] == rollouts[1]
    groups = [RolloutGroup.model_validate_json(line) for line in rollouts[0]]
    questions = config.batch_size * config.gradient_accumulation_steps // config.num_generations
    assert [group.step for group in groups[::questions]] == list(range(1, config.max_steps + 1, config.num_iterations))
    rewards = metric(tmp_path / "whole", "train/reward")
    for group in groups[::questions]:
        own = [one.mean_reward for one in groups if one.step == group.step]
        assert statistics.fmean(own) == pytest.approx(rewards[group.step], rel=1e-5)
        assert sum(one.advantage for one in group.completions) == pytest.approx(0, abs=1e-6)
    hashes = [read_manifest(tmp_path / part / "lora_grpo").files for part in ("whole", "second")]
    assert hashes[0] == hashes[1], "the last weights are the same, bit by bit"


def test_training_leaves_a_checkpoint_that_lora_grpo_measures_and_trains_further(
    home: Path, tmp_path: Path, config: RunConfig
) -> None:
    result = run(home, tmp_path / "run", config)
    assert (result["steps"], result["num_prompts"], result["epoch"]) == (10, 10, 2.0)
    checkpoint = tmp_path / "run" / "lora_grpo"
    manifest = read_manifest(checkpoint)
    assert (manifest.kind, manifest.trained, manifest.stage) == ("lora_grpo", ["lora"], "lora_grpo")
    run(home, tmp_path / "further", config.model_copy(update={"checkpoint": str(checkpoint), "max_steps": 1}))
    measured = {"stage": "evaluate", "num_questions": 2, "max_completion_length": 8, "checkpoint": str(checkpoint)}
    assert run(home, tmp_path / "measured", config_of(**measured, setting="lora+grpo"))["num_questions"] == 2
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "other", config_of(**measured, setting="lora"))
    assert caught.value.code == "other_kind"


def test_stop_saves_after_the_step_and_resume_goes_on(home: Path, tmp_path: Path, config: RunConfig) -> None:
    folder = tmp_path / "run"
    stop = StopWhen(lambda: (folder / "events.jsonl").exists() and len(metric(folder, "train/loss")) >= 3)
    with pytest.raises(Stopped):
        run(home, folder, config, stop=stop)
    assert RunDir(folder, "lora_grpo").saved_steps() == [2, 3]
    run(home, folder, config, resume=folder)
    assert sorted(metric(folder, "train/loss")) == list(range(1, 11))


def test_questions_that_do_not_fill_a_step_are_refused(home: Path, tmp_path: Path, config: RunConfig) -> None:
    few = config.model_copy(update={"num_questions": 1, "num_train_epochs": 1})
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "run", few)
    assert (caught.value.code, caught.value.field) == ("too_few_questions", "num_questions")
