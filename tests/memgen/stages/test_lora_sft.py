"""LoRA SFT on the tiny base: trl's trainer as one of our trainings."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from trl import SFTConfig, SFTTrainer

from memgen.contract.config import RunConfig
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.manifest import read_manifest
from memgen.contract.rundir import RunDir
from memgen.contract.status import StopMode
from memgen.data import load_questions
from memgen.data.prompt import answer_text, question_prompt
from memgen.stages.training import drawn
from memgen.stop import Stopped
from tests.memgen.stages.running import Killed, StopWhen, config_of, events, metric, run
from tests.memgen.stages.trl_trainers import Losses, kill_after, loaded_base


@pytest.fixture
def config(home: Path) -> RunConfig:
    return config_of(
        stage="lora_sft", num_questions=10, num_train_epochs=3, batch_size=4, learning_rate=0.01,
        eval_questions=6, eval_steps=4, save_steps=2,
    )  # fmt: skip


def test_loss_curve_is_that_of_trls_trainer_run_by_hand_on_the_same_rows(
    home: Path, tmp_path: Path, config: RunConfig
) -> None:
    same = {"warmup_ratio": 0.25, "batch_size": 2, "gradient_accumulation_steps": 2}
    run(home, tmp_path / "run", config.model_copy(update=same))
    base = loaded_base()
    encode, chosen, rows = base.tokenizer.encode, data_set("wordproblems"), []
    for one in drawn(load_questions("wordproblems", "train", seed=42), 10, 42):
        prompt = encode(question_prompt(chosen, one.question), add_special_tokens=False)
        answer = encode(answer_text(one.solution), add_special_tokens=False)
        mask = [0] * len(prompt) + [1] * len(answer)
        rows.append({"input_ids": prompt + answer, "completion_mask": mask})
    seen = Losses()
    trainer = SFTTrainer(
        base.model,
        args=SFTConfig(
            str(tmp_path / "hand"), num_train_epochs=3, per_device_train_batch_size=2, gradient_accumulation_steps=2,
            learning_rate=0.01, lr_scheduler_type="cosine", warmup_steps=2, weight_decay=0.0, bf16=False, use_cpu=True,
            gradient_checkpointing=False, seed=42, logging_steps=1, report_to="none", save_strategy="no",
            max_length=None, completion_only_loss=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=base.tokenizer,
        peft_config=LoraConfig(
            r=16, lora_alpha=32, lora_dropout=0.1, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
        ),
        callbacks=[seen],
    )  # fmt: skip
    trainer.train()
    assert len(seen.losses) == 9
    for name in ("loss", "grad_norm", "mean_token_accuracy"):
        values = list(metric(tmp_path / "run", f"train/{name}").values())
        assert values == pytest.approx(seen.named(name), rel=1e-6), name


def test_training_lowers_the_validation_loss_and_leaves_a_checkpoint_that_peft_loads(
    home: Path, tmp_path: Path, config: RunConfig
) -> None:
    result = run(home, tmp_path / "run", config)
    assert result["steps"] == 9
    assert result["eval_loss"] < result["eval_loss_before"] - 0.05
    assert list(metric(tmp_path / "run", "eval/loss")) == [0, 4, 8, 9]
    assert result["trained_numbers"] > 1000
    manifest = read_manifest(tmp_path / "run" / "lora_sft")
    assert (manifest.kind, manifest.trained, manifest.stage, manifest.step) == ("lora_sft", ["lora"], "lora_sft", 9)
    assert (manifest.latents, manifest.parent, manifest.optimizer) == ({}, None, None)
    base = loaded_base()
    ids = torch.arange(5, 60)[None]
    plain = base.model(ids).logits
    tuned = PeftModel.from_pretrained(base.model, tmp_path / "run" / "lora_sft").eval()
    assert not torch.allclose(tuned(ids).logits, plain)


# between two checkpoints, and right after one
@pytest.mark.parametrize("steps", [3, pytest.param(4, marks=pytest.mark.long)])
def test_killed_and_resumed_equals_uninterrupted_loss_by_loss(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    result = run(home, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, steps)
        run(home, tmp_path / "first", config)
    resumed = run(home, tmp_path / "second", config, resume=tmp_path / "first")
    assert resumed["eval_loss_before"] == result["eval_loss_before"]
    assert resumed["seconds"] > sum(metric(tmp_path / "second", "train/step_seconds").values())
    for name in ("train/loss", "train/grad_norm", "train/learning_rate", "train/tokens_seen"):
        whole = metric(tmp_path / "whole", name)
        first, second = (metric(tmp_path / part, name) for part in ("first", "second"))
        assert (list(first), min(second), max(second)) == (list(range(1, steps + 1)), 2 * (steps // 2) + 1, 9)
        assert {**first, **second} == whole
    hashes = [read_manifest(tmp_path / part / "lora_sft").files for part in ("whole", "second")]
    assert hashes[0] == hashes[1], "the last weights are the same, bit by bit"


@pytest.mark.parametrize(("mode", "saved"), [(StopMode.SAVE, [2, 3]), (StopMode.DISCARD, [2])])
def test_stop_after_a_step_saves_what_its_mode_says_and_in_place_resume_goes_on(
    home: Path, tmp_path: Path, config: RunConfig, mode: StopMode, saved: list[int]
) -> None:
    folder = tmp_path / "run"
    stop = StopWhen(lambda: (folder / "events.jsonl").exists() and len(metric(folder, "train/loss")) >= 3, mode)
    with pytest.raises(Stopped):
        run(home, folder, config, stop=stop)
    assert RunDir(folder, "lora_sft").saved_steps() == saved
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "environment.json", "events.jsonl"]
    run(home, folder, config, resume=folder)
    assert sorted(metric(folder, "train/loss")) == list(range(1, 10))


def test_budget_of_time_ends_the_training_after_the_step_in_which_it_has_passed(
    home: Path, tmp_path: Path, config: RunConfig
) -> None:
    short = config.model_copy(update={"budget": "time", "max_seconds": 1e-6, "eval_questions": 0})
    result = run(home, tmp_path / "run", short)
    assert (result["steps"], read_manifest(tmp_path / "run" / "lora_sft").step) == (1, 1)


def test_budget_of_numbers_decides_the_rank(home: Path, tmp_path: Path, config: RunConfig) -> None:
    result = run(home, tmp_path / "rank", config.model_copy(update={"max_steps": 1, "lora_r": 3}))
    wanted = round(result["trained_numbers"] * 1.1)
    by_numbers = config_of(**config.model_dump() | {"max_steps": 1, "budget": "numbers", "trained_numbers": wanted})
    assert run(home, tmp_path / "numbers", by_numbers)["trained_numbers"] == result["trained_numbers"]
    assert read_manifest(tmp_path / "numbers" / "lora_sft").lora["lora"].r == 3
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "many", by_numbers.model_copy(update={"trained_numbers": 10**12}))
    assert (caught.value.code, caught.value.field) == ("no_such_rank", "trained_numbers")


def test_lora_of_a_checkpoint_is_trained_further_and_measured(home: Path, tmp_path: Path, config: RunConfig) -> None:
    run(home, tmp_path / "run", config)
    checkpoint = tmp_path / "run" / "lora_sft"
    further = config.model_copy(update={"checkpoint": str(checkpoint), "max_steps": 1})
    result = run(home, tmp_path / "further", further)
    assert result["eval_loss_before"] == pytest.approx(metric(tmp_path / "run", "eval/loss")[9], abs=1e-6)
    assert read_manifest(tmp_path / "further" / "lora_sft").parent == read_manifest(checkpoint).content_hash
    for change in ({"lora_r": 4}, {"lora_targets": "all"}):
        with pytest.raises(BadInput) as caught:
            run(home, tmp_path / "other", further.model_copy(update=change))
        assert (caught.value.code, caught.value.field) == ("other_lora", next(iter(change)))
    measured = config_of(
        stage="evaluate", setting="lora", checkpoint=str(checkpoint), num_questions=4, max_completion_length=16
    )
    base = config_of(stage="evaluate", num_questions=4, max_completion_length=16)
    for name, one in (("lora", measured), ("base", base)):
        run(home, tmp_path / name, one)
    texts = [RunDir(tmp_path / name, "evaluate").answers.read_text() for name in ("lora", "base")]
    assert texts[0] != texts[1]


def test_checkpoints_of_one_layout_are_refused_by_runs_of_the_other(
    home: Path, tmp_path: Path, config: RunConfig, weaver: Path
) -> None:
    run(home, tmp_path / "run", config.model_copy(update={"max_steps": 1}))
    lora = str(tmp_path / "run" / "lora_sft")
    refused: list[dict[str, Any]] = [
        {"stage": "lora_sft", "checkpoint": str(weaver)},
        {"stage": "evaluate", "setting": "lora", "checkpoint": str(weaver)},
        {"stage": "evaluate", "setting": "lora+grpo", "checkpoint": lora},
        {"stage": "evaluate", "setting": "weaver", "checkpoint": lora},
        {"stage": "weaver_sft", "checkpoint": lora},
    ]
    for number, fields in enumerate(refused):
        with pytest.raises(BadInput) as caught:
            run(home, tmp_path / str(number), config_of(**fields))
        assert (caught.value.code, caught.value.field) == ("other_kind", "checkpoint"), fields


def test_damaged_newest_checkpoint_is_said_and_the_one_before_is_taken(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        run(home, tmp_path / "first", config)
    state = RunDir(tmp_path / "first", "lora_sft").checkpoint(4) / "trainer_state.json"
    state.write_text(state.read_text() + " ")
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    assert "step 4" in events(tmp_path / "second", "warning")[0]["message"]
    assert min(metric(tmp_path / "second", "train/loss")) == 3
