"""Trigger GRPO on the tiny base: decisions alone are trained, they can be learned, and a kill loses nothing."""

import json
from pathlib import Path

import pytest
import torch

from memgen.contract.config import InvalidConfig, RunConfig
from memgen.contract.data_sets.wordproblems import WORDPROBLEMS
from memgen.contract.errors import BadInput
from memgen.contract.manifest import read_manifest
from memgen.contract.presets import get_preset
from memgen.contract.rows import num_steps
from memgen.contract.rundir import RunDir, write_json
from memgen.data import load_questions
from memgen.data.prompt import question_prompt
from memgen.model.base import load_base
from memgen.model.checkpoint import load_checkpoint, tensors_of
from memgen.model.fetch import fetch_model
from memgen.model.generation import encode_prompts
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Completion, Sampling, generate_woven
from memgen.monitor import Monitor
from memgen.stages import rollout
from memgen.stages.trigger_grpo import trigger_parameters
from memgen.stop import Stopped
from tests.conftest import TINY
from tests.memgen.stages.running import Killed, StopWhen, config_of, kill_after, metric, run, score_by


@pytest.fixture
def config(weaver: Path) -> RunConfig:
    # slow, and with many completions: a trigger that always inserts has groups without variance and nothing to learn
    return config_of(
        stage="trigger_grpo", checkpoint=str(weaver), num_questions=12, max_steps=6, batch_size=16, num_generations=8,
        gradient_accumulation_steps=1, max_completion_length=24, sample_tokens=True, learning_rate=0.001, save_steps=2,
    )  # fmt: skip


@pytest.fixture
def scored_by_insertions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny base answers nothing right: reward what differs between completions, so that gradients are not zero."""
    score_by(monkeypatch, lambda one: sum(decision.inserted for decision in one.decisions) / len(one.decisions))


def load(home: Path, folder: Path) -> MemGenModel:
    source = fetch_model(get_preset(TINY), None, home, Monitor(None))
    return load_checkpoint(folder, load_base(source, "float32"), source.identity)


@pytest.mark.usefixtures("scored_by_insertions")
def test_only_the_trigger_changes_and_its_checkpoint_is_complete(
    home: Path, tmp_path: Path, config: RunConfig, weaver: Path
) -> None:
    result = run(home, tmp_path / "run", config)
    assert result["steps"] == 6
    manifest, before = (read_manifest(folder) for folder in (tmp_path / "run" / "trigger_grpo", weaver))
    assert (manifest.kind, manifest.trained, manifest.stage) == ("trigger", ["weaver", "trigger"], "trigger_grpo")
    assert manifest.parent == before.content_hash
    old, new = tensors_of(load(home, weaver)), tensors_of(load(home, tmp_path / "run" / "trigger_grpo"))
    changed = {(file, key) for file in old for key in old[file] if not torch.equal(old[file][key], new[file][key])}
    lora = {("trigger.safetensors", key) for key in old["trigger.safetensors"]}
    assert changed == lora | {("parts.safetensors", f"trigger_head.{name}") for name in ("weight", "bias")}


@pytest.mark.usefixtures("scored_by_insertions")
def test_only_the_triggers_parameters_ever_get_gradients(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memgen.stages.training import TrainingLoop

    seen: list[set[str]] = []
    step = TrainingLoop._step

    def watched(self: TrainingLoop, number: int, compute) -> dict[str, float]:
        def computed(number: int) -> dict[str, float]:
            metrics = compute(number)
            model = self._model
            own = {id(parameter) for parameter in trigger_parameters(model)}
            everything = [*model.named_parameters(), *model.base.model.named_parameters()]
            seen.append({name for name, p in everything if p.grad is not None and id(p) not in own})
            assert any(p.grad is not None and bool(p.grad.any()) for p in trigger_parameters(model))
            return metrics

        return step(self, number, computed)

    monkeypatch.setattr(TrainingLoop, "_step", watched)
    run(home, tmp_path / "run", config.model_copy(update={"max_steps": 2}))
    assert seen == [set(), set()]


@pytest.mark.usefixtures("scored_by_insertions")
@pytest.mark.parametrize(("steps", "iterations"), [(3, 1), (4, 1), (5, 2)])
def test_killed_and_resumed_equals_uninterrupted_loss_by_loss(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, steps: int, iterations: int
) -> None:
    config = config.model_copy(update={"num_iterations": iterations, "beta": 0.1 * (iterations - 1)})
    run(home, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, steps)
        run(home, tmp_path / "first", config)
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    for name in ("train/loss", "train/reward", "train/insert_rate", "train/grad_norm", "train/entropy"):
        whole = metric(tmp_path / "whole", name)
        first, second = (metric(tmp_path / part, name) for part in ("first", "second"))
        assert (min(second), max(second)) == (2 * (steps // 2) + 1, 6)
        assert {**first, **second} == whole
    assert any(metric(tmp_path / "whole", "train/loss").values())
    hashes = [read_manifest(tmp_path / part / "trigger_grpo").files for part in ("whole", "second")]
    assert hashes[0] == hashes[1]


def test_step_of_several_batches_is_that_of_one_batch_and_holds_no_more_rows_than_a_batch(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config.model_copy(update={"insertion_penalty": 1.0, "num_iterations": 2, "beta": 0.1, "max_steps": 4})
    small = config.model_copy(update={"batch_size": 8, "gradient_accumulation_steps": 2})
    assert num_steps(small, 12) == num_steps(config, 12)
    run(home, tmp_path / "one", config)
    sizes: set[int] = set()

    def watched(whole, rows_in: int):
        def call(*given, **named):
            sizes.add(len(given[rows_in]))
            return whole(*given, **named)

        return call

    monkeypatch.setattr(rollout, "generate_woven", watched(generate_woven, 1))
    monkeypatch.setattr(MemGenModel, "decision_logprobs", watched(MemGenModel.decision_logprobs, 1))
    run(home, tmp_path / "several", small)
    assert sizes == {8}
    names = ("loss", "reward", "reward_std", "insert_rate", "grad_norm", "entropy", "kl", "completions/mean_length")
    for name in (f"train/{name}" for name in names):
        whole = metric(tmp_path / "one", name)
        assert metric(tmp_path / "several", name) == pytest.approx(whole, rel=1e-4, abs=1e-6), name
        assert any(whole.values()), name


def test_stop_within_a_step_keeps_the_steps_before(home: Path, tmp_path: Path, config: RunConfig) -> None:
    folder = tmp_path / "run"
    asked: list[int] = []

    def in_the_fourth_rollout() -> bool:
        asked.append(len(metric(folder, "train/loss")))
        return asked[-20:] == [3] * 20

    with pytest.raises(Stopped):
        run(home, folder, config, stop=StopWhen(in_the_fourth_rollout))
    assert RunDir(folder, "trigger_grpo").saved_steps() == [2, 3]
    run(home, folder, config, resume=folder)
    assert sorted(metric(folder, "train/loss")) == [1, 2, 3, 4, 5, 6]


def test_rewards_of_two_scorers_are_not_mixed(home: Path, tmp_path: Path, config: RunConfig) -> None:
    config = config.model_copy(update={"max_steps": 1})
    run(home, tmp_path / "first", config)
    environment = RunDir(tmp_path / "first").environment
    write_json(environment, {**json.loads(environment.read_text()), "scorer_version": 1})
    with pytest.raises(BadInput, match="scorer_version 1 -> ") as caught:
        run(home, tmp_path / "second", config, resume=tmp_path / "first")
    assert caught.value.code == "resume_mismatch"


def test_learns_to_insert_exactly_behind_one_token(
    home: Path, tmp_path: Path, config: RunConfig, weaver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(home, weaver)
    wanted = model.base.tokenizer.encode(".", add_special_tokens=False)[0]

    def after(one: Completion, token: int) -> bool:
        return token > 0 and one.ids[token - 1] == wanted

    def agreement(one: Completion) -> float:
        right = [decision.inserted == after(one, decision.token) for decision in one.decisions]
        return sum(right) / len(right)

    held_out = load_questions("wordproblems", "test", seed=42, limit=16)
    texts = [question_prompt(WORDPROBLEMS, question.question) for question in held_out]
    prompts = [torch.tensor(ids) for ids in encode_prompts(model.base, texts, 1024)]

    def held_out_agreement(trained: MemGenModel) -> float:
        """Share of the decisions on other questions that are right, on completions like those of the training."""
        generators = [torch.Generator().manual_seed(number) for number in range(len(prompts))]
        sampling = Sampling(1.0, tokens=True, generators=generators)
        ones = generate_woven(trained, prompts, 48, trigger=True, sampling=sampling)
        right = [d.inserted == after(one, d.token) for one in ones for d in one.decisions]
        assert sum(after(one, d.token) for one in ones for d in one.decisions) > 5
        return sum(right) / len(right)

    before = held_out_agreement(model)
    score_by(monkeypatch, agreement)
    toy = config.model_copy(
        update={"max_steps": 18, "num_questions": 16, "batch_size": 16, "num_generations": 16, "learning_rate": 0.01,
                "num_train_epochs": 2, "max_completion_length": 48, "save_steps": 100}
    )  # fmt: skip
    run(home, tmp_path / "toy", toy)
    rewards = list(metric(tmp_path / "toy", "train/reward").values())
    assert rewards[0] < 0.7
    assert sum(rewards[-5:]) / 5 > 0.95
    assert held_out_agreement(load(home, tmp_path / "toy" / "trigger_grpo")) > 0.95 > 0.6 > before


def test_reward_wants_the_right_number_in_a_box() -> None:
    solutions = ["so \\boxed{4}"] * 3
    assert rollout.correctness(["\\boxed{4.0}", "it is 4", "\\boxed{5}"], solutions) == [1, 0, 0]


def test_weaver_that_was_never_trained_is_refused(home: Path, tmp_path: Path, config: RunConfig, weaver: Path) -> None:
    import json

    manifest = json.loads((weaver / "manifest.json").read_text())
    (weaver / "manifest.json").write_text(json.dumps(manifest | {"trained": []}))
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "run", config)
    assert (caught.value.code, caught.value.field) == ("untrained_weaver", "checkpoint")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"checkpoint": None}, "checkpoint"),
        ({"batch_size": 6}, "num_generations"),
        ({"num_generations": 1}, "num_generations"),
        ({"temperature": 0}, "temperature"),
        ({"inference_latent_len": 4}, "inference_latent_len"),
        ({"max_prompt_aug_num": 0, "max_inference_aug_num": 0}, "max_inference_aug_num"),
    ],
)
def test_config_that_makes_no_sense_is_refused_by_field(config: RunConfig, change: dict, field: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config_of(**(config.model_dump(exclude_none=True) | change))
    assert field in [problem.field for problem in caught.value.problems]


def test_damaged_or_changed_parent_is_refused(home: Path, tmp_path: Path, config: RunConfig, weaver: Path) -> None:
    run(home, tmp_path / "first", config.model_copy(update={"max_steps": 2}))
    with pytest.raises(BadInput, match="prompt_latents_len 8"):
        run(home, tmp_path / "lengths", config.model_copy(update={"prompt_latents_len": 4}))
    with pytest.raises(BadInput, match="nothing is ever inserted"):
        run(home, tmp_path / "limits", config.model_copy(update={"max_inference_aug_num": 0, "max_prompt_aug_num": 0}))
    path = weaver / "weaver.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"weaver\.safetensors"):
        run(home, tmp_path / "second", config)
    assert not (tmp_path / "second" / "trigger_grpo").exists()
