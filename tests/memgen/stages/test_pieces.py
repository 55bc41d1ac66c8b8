"""Batches of the LoRA trainings that go through the model in pieces: the same training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import nn
from trl.trainer.grpo_trainer import GRPOTrainer

from memgen.contract.config import RunConfig
from memgen.contract.json_file import read_object
from memgen.contract.rundir import RunDir
from memgen.contract.status import StopMode
from memgen.model.lora import WEIGHTS
from memgen.stages.lora_grpo import GrpoInPieces
from memgen.stages.lora_sft import SftInPieces
from memgen.stop import Stopped
from tests.memgen.stages.running import StopWhen, config_of, events, metric, run

SFT: dict[str, Any] = {
    "stage": "lora_sft", "num_questions": 10, "max_steps": 4, "batch_size": 4, "gradient_accumulation_steps": 2,
    "learning_rate": 0.01, "lora_dropout": 0.2, "eval_questions": 3, "eval_steps": 4,
}  # fmt: skip
GRPO: dict[str, Any] = {
    "stage": "lora_grpo", "num_questions": 8, "max_steps": 3, "batch_size": 4, "gradient_accumulation_steps": 2,
    "num_generations": 2, "max_completion_length": 12, "learning_rate": 0.01, "lora_dropout": 0.2, "beta": 0.1,
}  # fmt: skip
SAME = ("loss", "grad_norm", "tokens_seen", "entropy", "mean_token_accuracy", "kl", "reward")
Forward = Callable[..., Any]


@pytest.fixture(autouse=True)
def told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Completions of the tiny model that differ in length and reward: they are cut, and vowels are rewarded."""
    generate = GRPOTrainer._generate_single_turn

    def vowels(completions: list[str], *_: Any) -> list[float]:
        return [sum(one.count(letter) for letter in "aeiou") / (1 + len(one)) for one in completions]

    def cut(*words: Any, **more: Any) -> Any:
        completions, nothing = generate(*words, **more)
        return [one[: 3 + 4 * (place % 3)] for place, one in enumerate(completions)], nothing

    monkeypatch.setattr("memgen.stages.lora_grpo.correctness", vowels)
    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", cut)


def check_same_training(one: Path, other: Path, config: RunConfig) -> None:
    """Numbers of all steps, and the last weights."""
    for name in SAME:
        values = metric(one, f"train/{name}")
        assert bool(values) or name in ("mean_token_accuracy", "kl", "reward")
        assert metric(other, f"train/{name}") == pytest.approx(values, rel=1e-3, abs=1e-6), name
    weights, others = (load_file(folder / config.stage / WEIGHTS) for folder in (one, other))
    for key, tensor in weights.items():
        assert (others[key] - tensor).norm() <= 1e-4 * tensor.norm(), key


@pytest.mark.parametrize(
    "fields",
    [
        SFT,
        SFT | {"gradient_checkpointing": True, "eval_questions": 0},
        GRPO,
        GRPO | {"loss_type": "bnpo"},
        GRPO | {"loss_type": "dr_grpo", "num_iterations": 2, "lora_dropout": 0.0},
    ],
    ids=["sft", "sft, layers run again", "grpo", "bnpo", "dr_grpo, two iterations"],
)
def test_batch_in_pieces_teaches_the_same_as_the_whole(home: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    whole = config_of(**fields, micro_batch_size=None)
    run(home, tmp_path / "whole", whole)
    run(home, tmp_path / "pieces", config_of(**fields, micro_batch_size=3))
    check_same_training(tmp_path / "whole", tmp_path / "pieces", whole)


class Tight:
    """Lets memory run out at some of the model's passes, after their gradients have been partly added.

    Args:
        trainer: whose passes.
        monkeypatch: of the test.
        fails: whether a pass fails, by its number from 1 on and its rows.
    """

    def __init__(self, trainer: type, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int, int], bool]) -> None:
        self.rows: list[int] = []
        compute = trainer.compute_loss  # type: ignore[attr-defined]

        def tight(own: Any, model: nn.Module, inputs: dict[str, Any], *others: Any, **more: Any) -> Any:
            loss = compute(own, model, inputs, *others, **more)
            if model.training:
                self.rows.append(len(next(iter(inputs.values()))))
                if fails(len(self.rows), self.rows[-1]):
                    loss.backward()
                    raise MemoryError
            return loss

        monkeypatch.setattr(trainer, "compute_loss", tight)


@pytest.mark.parametrize(("trainer", "fields"), [(SftInPieces, SFT), (GrpoInPieces, GRPO)], ids=["sft", "grpo"])
def test_batch_whose_memory_runs_out_begins_again_in_halves_and_a_resume_keeps_to_that(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: type, fields: dict[str, Any]
) -> None:
    config, folder = config_of(**fields), tmp_path / "tight"
    whole = run(home, tmp_path / "whole", config)
    with monkeypatch.context() as patch:
        # in the second batch of the first step, and in its second piece
        tight = Tight(trainer, patch, lambda number, _rows: number in (2, 4))
        stop = StopWhen(lambda: bool(tight.rows) and len(metric(folder, "train/loss")) >= 2, StopMode.SAVE)
        with pytest.raises(Stopped):
            run(home, folder, config, stop=stop)
        assert tight.rows[:8] == [4, 4, 2, 2, 1, 1, 1, 1]
        assert [event["code"] for event in events(folder, "warning")] == ["width_halved"] * 2
        assert "with 4 rows" in events(folder, "warning")[0]["message"]
        assert read_object(RunDir(folder).environment)["micro_batch_size"] == 4
        resumed = Tight(trainer, patch, lambda _number, _rows: False)
        result = run(home, folder, config, resume=folder)
    assert set(resumed.rows) == {1}
    assert (whole["micro_batch_size"], result["micro_batch_size"]) == (4, 1)
    check_same_training(tmp_path / "whole", folder, config)


def test_memory_that_runs_out_ends_a_training_whose_width_somebody_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tight(SftInPieces, monkeypatch, lambda _number, _rows: True)
    with pytest.raises(MemoryError):
        run(home, tmp_path / "run", config_of(**SFT, micro_batch_size=2))


def test_completions_whose_memory_runs_out_are_generated_in_halves(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate, asked = GRPOTrainer._generate_single_turn, []

    def tight(own: Any, prompt_ids: list[list[int]], *others: Any, **more: Any) -> Any:
        asked.append(len(prompt_ids))
        assert own.model.is_gradient_checkpointing, "trl switches it off to generate, and an error leaves it off"
        if len(prompt_ids) > 2:
            own.model.gradient_checkpointing_disable()
            raise MemoryError
        return generate(own, prompt_ids, *others, **more)

    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", tight)
    result = run(home, tmp_path / "run", config_of(**GRPO, gradient_checkpointing=True))
    assert asked == [8, 4, *[2] * 12]
    assert (result["steps"], result["micro_batch_size"]) == (3, 4)
    assert [event["code"] for event in events(tmp_path / "run", "warning")] == ["width_halved"] * 2
