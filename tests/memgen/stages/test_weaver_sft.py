"""Weaver SFT on the tiny base: it learns, it can be killed, and what it leaves is complete."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from memgen.contract.config import RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.manifest import read_manifest
from memgen.contract.presets import get_preset
from memgen.contract.rundir import RunDir
from memgen.contract.status import StopMode
from memgen.model.base import BaseModel, load_base
from memgen.model.checkpoint import load_checkpoint, new_model
from memgen.model.checkpoint_files import load_optimizer
from memgen.model.fetch import fetch_model
from memgen.model.memgen_model import LatentSettings, MemGenModel, Row
from memgen.monitor import Monitor
from memgen.stages import training
from memgen.stages.training import Step, TrainingLoop, batch_of, epochs_after
from memgen.stop import Stopped
from tests.conftest import TINY
from tests.memgen.stages.running import Killed, StopWhen, config_of, events, kill_after, metric, run


@pytest.fixture
def config(home: Path) -> RunConfig:
    return config_of(
        stage="weaver_sft", num_questions=10, num_train_epochs=3, batch_size=4, learning_rate=0.01,
        eval_questions=6, eval_steps=4, save_steps=2,
    )  # fmt: skip


@pytest.fixture
def base(home: Path) -> BaseModel:
    return load_base(fetch_model(get_preset(TINY), None, home, Monitor(None)), "float32")


def test_training_lowers_the_validation_loss_and_leaves_a_checkpoint_that_loads(
    home: Path, tmp_path: Path, config: RunConfig, base: BaseModel
) -> None:
    result = run(home, tmp_path / "run", config)
    assert result["steps"] == 9
    assert result["eval_loss"] < result["eval_loss_before"] - 0.1
    assert list(metric(tmp_path / "run", "eval/loss")) == [0, 4, 8, 9]
    manifest = read_manifest(tmp_path / "run" / "weaver_sft")
    assert (manifest.kind, manifest.trained, manifest.stage, manifest.step) == ("weaver", ["weaver"], "weaver_sft", 9)
    assert (manifest.parent, manifest.optimizer) == (None, None)
    load_checkpoint(tmp_path / "run" / "weaver_sft", base, manifest.base_model)


@pytest.mark.parametrize(("steps", "skipped"), [(3, 0.0), (4, 0.3)])  # between two checkpoints, and right after one
def test_killed_and_resumed_equals_uninterrupted_loss_by_loss(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, steps: int, skipped: float
) -> None:
    config = config.model_copy(update={"skip_probability": skipped})
    result = run(home, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, steps)
        run(home, tmp_path / "first", config)
    resumed = run(home, tmp_path / "second", config, resume=tmp_path / "first")
    assert resumed["eval_loss_before"] == result["eval_loss_before"]
    saved = 2 * (steps // 2)
    spent = sum(list(metric(tmp_path / "first", "train/step_seconds").values())[:saved])
    assert resumed["seconds"] > spent + sum(metric(tmp_path / "second", "train/step_seconds").values())
    for name in ("train/loss", "train/grad_norm", "train/learning_rate"):
        whole = metric(tmp_path / "whole", name)
        first, second = (metric(tmp_path / part, name) for part in ("first", "second"))
        assert (list(first), min(second), max(second)) == (list(range(1, steps + 1)), 2 * (steps // 2) + 1, 9)
        assert {**first, **second} == whole
    hashes = [read_manifest(tmp_path / part / "weaver_sft").files for part in ("whole", "second")]
    assert hashes[0] == hashes[1], "the last weights are the same, bit by bit"


def test_training_whose_optimizer_was_not_fused_goes_on_so_and_a_new_one_is(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "has_fused_adamw", lambda _: None)  # as it was before
        run(home, tmp_path / "whole", config)
        kill_after(patch, 4)
        with pytest.raises(Killed):
            run(home, tmp_path / "first", config)
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    hashes = [read_manifest(tmp_path / part / "weaver_sft").files for part in ("whole", "second")]
    assert hashes[0] == hashes[1], "the last weights are the same, bit by bit"
    run(home, tmp_path / "new", config.model_copy(update={"num_train_epochs": 2}))
    kinds = {
        part: {group["fused"] for group in load_optimizer(newest(tmp_path / part))["optimizer"]["param_groups"]}
        for part in ("second", "new")
    }
    assert kinds == {"second": {None}, "new": {True}}


def newest(folder: Path) -> Path:
    run_dir = RunDir(folder, "weaver_sft")
    return run_dir.checkpoint(run_dir.saved_steps()[-1])


def test_stop_saves_at_once_and_in_place_resume_goes_on(home: Path, tmp_path: Path, config: RunConfig) -> None:
    folder = tmp_path / "run"
    stop = StopWhen(lambda: (folder / "events.jsonl").exists() and len(metric(folder, "train/loss")) >= 3)
    with pytest.raises(Stopped):
        run(home, folder, config, stop=stop)
    assert RunDir(folder, "weaver_sft").saved_steps() == [2, 3]
    run(home, folder, config, resume=folder)
    assert sorted(metric(folder, "train/loss")) == list(range(1, 10))


def test_a_training_on_other_solutions_is_not_gone_on_with_and_one_of_the_version_before_is(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        run(home, tmp_path / "first", config)
    path = RunDir(tmp_path / "first", "weaver_sft").environment
    environment = json.loads(path.read_text())
    assert len(environment.pop("rows_hash")) == 16
    path.write_text(json.dumps(environment | {"rows_hash": "of other rows"}))
    with pytest.raises(BadInput, match="rows_hash 'of other rows' -> ") as refusal:
        run(home, tmp_path / "second", config, resume=tmp_path / "first")
    assert refusal.value.code == "resume_mismatch"
    path.write_text(json.dumps(environment))
    run(home, tmp_path / "third", config, resume=tmp_path / "first")
    assert min(metric(tmp_path / "third", "train/loss")) == 5


def test_discarding_stop_saves_nothing_more(home: Path, tmp_path: Path, config: RunConfig) -> None:
    folder = tmp_path / "run"
    stop = StopWhen(lambda: len(metric(folder, "train/loss")) >= 3, StopMode.DISCARD)
    with pytest.raises(Stopped):
        run(home, folder, config, stop=stop)
    assert RunDir(folder, "weaver_sft").saved_steps() == [2]


def test_only_the_last_two_checkpoints_are_kept(home: Path, tmp_path: Path, config: RunConfig) -> None:
    run(home, tmp_path / "run", config)
    assert RunDir(tmp_path / "run", "weaver_sft").saved_steps() == [6, 8]
    assert [event["step"] for event in events(tmp_path / "run", "checkpoint")] == [2, 4, 6, 8]


def test_damaged_newest_checkpoint_is_said_and_the_one_before_is_taken(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        run(home, tmp_path / "first", config)
    optimizer = RunDir(tmp_path / "first", "weaver_sft").checkpoint(4) / "optimizer.pt"
    optimizer.write_bytes(optimizer.read_bytes()[:-1])
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    assert "step 4" in events(tmp_path / "second", "warning")[0]["message"]
    assert min(metric(tmp_path / "second", "train/loss")) == 3


def test_damaged_checkpoints_of_the_own_folder_make_room_for_new_ones(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunDir(tmp_path / "run", "weaver_sft")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        run(home, folder.path, config)
    for step in folder.saved_steps():
        (folder.checkpoint(step) / "optimizer.pt").unlink()
    assert folder.saved_steps() == [2, 4]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        run(home, folder.path, config, resume=folder.path)
    assert folder.saved_steps() == [2, 4]
    assert all((folder.checkpoint(step) / "optimizer.pt").exists() for step in (2, 4))


def test_resume_under_another_seed_is_refused(home: Path, tmp_path: Path, config: RunConfig) -> None:
    run(home, tmp_path / "first", config)
    with pytest.raises(BadInput, match="config_hash"):
        run(home, tmp_path / "second", config.model_copy(update={"seed": 1}), resume=tmp_path / "first")


def test_accumulated_gradients_equal_those_of_one_batch(home: Path, tmp_path: Path, config: RunConfig) -> None:
    still = config.model_copy(update={"lora_dropout": 0.0, "max_steps": 2, "skip_probability": 0.3})
    run(home, tmp_path / "one", still)
    run(home, tmp_path / "two", still.model_copy(update={"batch_size": 2, "gradient_accumulation_steps": 2}))
    for name in ("train/loss", "train/grad_norm"):
        one, two = metric(tmp_path / "one", name), metric(tmp_path / "two", name)
        assert one == pytest.approx(two, rel=1e-4)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The points of each row that is trained on, as it comes."""
    seen: list[list[int]] = []
    read = MemGenModel.token_logprobs

    def look(model: MemGenModel, rows: Sequence[Row]) -> list[torch.Tensor]:
        if torch.is_grad_enabled():
            seen.extend(row.points for row in rows)
        return read(model, rows)

    monkeypatch.setattr(MemGenModel, "token_logprobs", look)
    return seen


def test_points_are_left_out_as_often_as_asked_and_others_at_each_step(
    home: Path, tmp_path: Path, config: RunConfig, seen: list[list[int]]
) -> None:
    whole = config.model_copy(update={"num_questions": 4, "num_train_epochs": 20, "eval_questions": 0})
    run(home, tmp_path / "all", whole)
    every = {points[0]: points for points in seen}  # a row is told by where its prompt ends
    assert len(every) > 1
    assert all(points == every[points[0]] for points in seen)
    count = sum(len(points) - 1 for points in seen)
    seen.clear()
    run(home, tmp_path / "some", whole.model_copy(update={"skip_probability": 0.4, "skip_among": "first"}))
    assert sum(len(points) - 1 for points in seen) / count == pytest.approx(0.6, abs=0.1)
    assert all(set(points) <= set(every[points[0]]) for points in seen), "the prompt keeps its own"
    assert len({tuple(points) for points in seen}) > 2 * len(every)


def test_points_are_drawn_among_all_delimiters_and_then_limited(
    home: Path, tmp_path: Path, config: RunConfig, seen: list[list[int]]
) -> None:
    whole = config.model_copy(update={"num_questions": 4, "num_train_epochs": 20, "eval_questions": 0})
    run(home, tmp_path / "all", whole.model_copy(update={"max_inference_aug_num": 1000}))
    every = {points[0]: points[1:] for points in seen}
    seen.clear()
    run(home, tmp_path / "some", whole.model_copy(update={"max_inference_aug_num": 1, "skip_probability": 0.4}))
    assert max(len(points) - 1 for points in seen) == 1
    several = {prompt: delimiters for prompt, delimiters in every.items() if len(delimiters) > 1}
    assert several
    for prompt, delimiters in several.items():
        drawn = [points[1] for points in seen if points[0] == prompt and len(points) > 1]
        assert len(drawn) > 13, "of 20 epochs: what was skipped does not count in the limit"
        assert {*delimiters[:2]} <= {*drawn} <= {*delimiters}, "later delimiters get latents, too"


def test_examples_that_are_too_long_are_left_out_and_counted(home: Path, tmp_path: Path, config: RunConfig) -> None:
    short = config.model_copy(update={"max_completion_length": 50, "max_steps": 1})
    result = run(home, tmp_path / "run", short)
    assert 0 < result["num_examples"] < 10
    assert f"{10 - result['num_examples']:.0f} of 10 examples" in events(tmp_path / "run", "warning")[0]["message"]
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "none", config.model_copy(update={"max_completion_length": 2}))
    assert (caught.value.code, caught.value.field) == ("examples_too_long", "max_completion_length")


def test_weaver_of_a_checkpoint_is_trained_further(home: Path, tmp_path: Path, config: RunConfig, weaver: Path) -> None:
    further = config.model_copy(update={"checkpoint": str(weaver), "max_steps": 1})
    run(home, tmp_path / "run", further)
    assert read_manifest(tmp_path / "run" / "weaver_sft").parent == read_manifest(weaver).content_hash
    for change, field in (({"lora_r": 4}, "lora_r"), ({"prompt_latents_len": 4}, "prompt_latents_len")):
        with pytest.raises(BadInput) as caught:
            run(home, tmp_path / field, further.model_copy(update=change))
        assert caught.value.field == field


def test_checkpoint_carries_the_guard_of_numbers_along_and_a_config_replaces_it(
    home: Path, tmp_path: Path, config: RunConfig, base: BaseModel
) -> None:
    run(home, tmp_path / "run", config.model_copy(update={"guard_numbers": 1, "max_steps": 1}))
    folder = tmp_path / "run" / "weaver_sft"
    manifest = read_manifest(folder)
    assert manifest.latents["guard_numbers"] == 1
    for wanted, guard in (({}, 1), ({"guard_numbers": None}, 1), ({"guard_numbers": 0}, 0)):
        assert load_checkpoint(folder, base, manifest.base_model, wanted).settings.guard_numbers == guard


def test_each_epoch_has_every_row_once_in_its_own_order() -> None:
    epochs = [[row for number in range(4) for row in batch_of(10, 3, 4 * epoch + number, 42)] for epoch in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]


def test_reasoner_stays_bit_equal_to_the_base_after_a_training_step(home: Path, base: BaseModel) -> None:
    ids = torch.arange(5, 60)
    with torch.no_grad():
        plain = base.model(ids[None]).logits
    model = new_model(base, LatentSettings(), lora_r=4, lora_alpha=8, lora_dropout=0.1)
    groups = model.train_part("weaver")
    assert sorted(groups) == ["latents", "lora", "projections"]
    optimizer = torch.optim.AdamW([parameter for group in groups.values() for parameter in group], lr=0.1)
    model.train()
    for _ in range(2):  # LoRA A moves from the second step on
        (-model.token_logprobs([Row(ids, [10, 33], 10)])[0].mean()).backward()
        optimizer.step()
    with torch.no_grad():
        assert torch.equal(base.model(ids[None]).logits, plain)
        with model.adapters.on("weaver"):
            assert not torch.equal(base.model(ids[None]).logits, plain)


def test_environment_names_the_checkpoint(home: Path, tmp_path: Path, config: RunConfig, weaver: Path) -> None:
    run(home, tmp_path / "run", config.model_copy(update={"checkpoint": str(weaver), "max_steps": 1}))
    environment = json.loads(RunDir(tmp_path / "run").environment.read_text())
    assert environment["checkpoint"] == read_manifest(weaver).content_hash


def test_epoch_is_whole_where_a_pass_ends_and_counts_rows_in_between() -> None:
    # 10 rows, 4 a step: the third step of each pass has two
    assert [epochs_after(steps, 10, 4) for steps in range(7)] == [0, 0.4, 0.8, 1, 1.4, 1.8, 2]
    assert epochs_after(4, 3, 8) == 4


def test_training_whose_rows_do_not_fill_its_steps_ends_at_its_last_epoch(home: Path, tmp_path: Path) -> None:
    fields = {"num_questions": 5, "batch_size": 4, "num_train_epochs": 2, "eval_questions": 0}
    result = run(home, tmp_path / "run", config_of(stage="weaver_sft", **fields))
    assert (result["steps"], result["epoch"]) == (4, 2.0)
    assert list(metric(tmp_path / "run", "train/epoch").values()) == [0.8, 1.0, 1.8, 2.0]


def gradients_of_a_step(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, **fields: object) -> torch.Tensor:
    """All gradients of a training's only step, one after the other."""
    seen: list[torch.Tensor] = []
    whole = TrainingLoop._compute

    def compute(self: TrainingLoop, number: int, step: Step) -> dict[str, float]:
        metrics = whole(self, number, step)
        seen.extend(torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in self._parameters)
        return metrics

    monkeypatch.setattr(TrainingLoop, "_compute", compute)
    run(home, folder, config_of(
        stage="weaver_sft", num_questions=8, max_steps=1, batch_size=4, eval_questions=0, lora_dropout=0.3,
        skip_probability=0.3, **fields,
    ))  # fmt: skip
    return torch.cat([one.flatten() for one in seen])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_step_learns_the_same_however_many_rows_go_through_the_model_together(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpointing: bool
) -> None:
    def step(**fields: object) -> torch.Tensor:
        name = "-".join(map(str, fields.values()))
        with monkeypatch.context() as patch:
            return gradients_of_a_step(
                home, tmp_path / name, patch, gradient_checkpointing=checkpointing, seed=3, **fields
            )

    whole = step(micro_batch_size=4)
    for rows in (1, 2, "auto"):
        assert (step(micro_batch_size=rows) - whole).norm() < 1e-5 * whole.norm()
    together = step(micro_batch_size=None)  # as versions before drew dropout
    assert (together - whole).norm() > 1e-2 * whole.norm(), "other masks"
