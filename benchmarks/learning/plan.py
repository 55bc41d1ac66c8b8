"""What is trained and measured for one seed, step by step, and how large it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from memgen.contract.presets import DEMO_PRESET

DATA = "wordproblems_easy"
LORA_PRESET = "learning/plain-lora"
"""Name under which the base with the plain LoRA merged into it can be evaluated like any model."""


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    questions: int
    split: str
    """Held-out questions: `test`, or `validation` where something is still being tuned."""
    max_tokens: int
    """Of an answer."""
    sft_steps: int
    sft_rows: int
    """Rows of a weaver SFT step."""
    grpo_steps: int
    ltpo_steps: int


FULL = Scale(200, "test", 96, sft_steps=240, sft_rows=8, grpo_steps=48, ltpo_steps=6)
QUICK = Scale(20, "validation", 96, sft_steps=28, sft_rows=8, grpo_steps=3, ltpo_steps=2)

RATE, OWN_RATE = 1e-3, 3e-3  # of LoRA, and of what starts from nothing: latents and projections
TRIGGER_RATE, PENALTY, BETA = 3e-4, 0.9, 0.05
CLIP = 0.05  # of the trigger's gradients, or Adam remembers the large ones of the first steps and the rest move nothing
RANK, ALPHA, DROPOUT = 16, 32, 0.1
SKIP = 0.5  # of the delimiters get no latents in training, or the weaver knows no answer with fewer insertions than all

Done = Mapping[str, dict[str, float]]
"""Results of the steps so far, by name."""


@dataclass(frozen=True)
class Step:
    """One run of the core, or the control's training."""

    name: str
    title: str
    config: Callable[[Scale, int, Done], dict[str, Any]]
    """From scale, seed and earlier results to the config."""
    checkpoint: str | None = None
    """Step whose checkpoint it starts from."""


def _training(scale: Scale, seed: int, _: Done) -> dict[str, Any]:
    return {
        "stage": "weaver_sft",
        "preset": DEMO_PRESET,
        "data": DATA,
        "seed": seed,
        "max_steps": scale.sft_steps,
        "num_train_epochs": 1000,
        "batch_size": scale.sft_rows,
        "learning_rate": RATE,
        "latents_learning_rate": OWN_RATE,
        "projections_learning_rate": OWN_RATE,
        "lora_r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": DROPOUT,
        "skip_probability": SKIP,
        "skip_among": "first",
        "eval_questions": 64,
        "save_steps": 50,
    }


def _grpo(scale: Scale, seed: int, _: Done) -> dict[str, Any]:
    return {
        "stage": "trigger_grpo",
        "preset": DEMO_PRESET,
        "data": DATA,
        "seed": seed,
        "max_steps": scale.grpo_steps,
        "num_train_epochs": 1000,
        "batch_size": 32,
        "gradient_accumulation_steps": 1,
        "num_generations": 8,
        "scale_rewards": "none",
        "learning_rate": TRIGGER_RATE,
        "lr_scheduler_type": "constant",
        "warmup_ratio": 0.0,
        "max_grad_norm": CLIP,
        "insertion_penalty": PENALTY,
        "insertion_penalty_form": "rate",  # by which the weight was tuned
        "beta": BETA,
        "max_completion_length": scale.max_tokens,
        "save_steps": 10,
    }


def _evaluation(**fields: Any) -> Callable[[Scale, int, Done], dict[str, Any]]:
    def config(scale: Scale, seed: int, _: Done) -> dict[str, Any]:
        return {
            "stage": "evaluate",
            "preset": DEMO_PRESET,
            "data": DATA,
            "seed": seed,
            "split": scale.split,
            "num_questions": scale.questions,
            "max_completion_length": scale.max_tokens,
            "batch_size": 25,
            **fields,
        }

    return config


def _twice_as_long(scale: Scale, seed: int, done: Done) -> dict[str, Any]:
    return _evaluation(max_completion_length=2 * scale.max_tokens)(scale, seed, done)


def _random(scale: Scale, seed: int, done: Done) -> dict[str, Any]:
    rate = done["trigger_eval"]["insert_rate"]  # as often as the trigger does, but anywhere
    return _evaluation(setting="weaver+random", insert_probability=round(rate, 4))(scale, seed, done)


def _ltpo(**fields: Any) -> Callable[[Scale, int, Done], dict[str, Any]]:
    def config(scale: Scale, seed: int, done: Done) -> dict[str, Any]:
        own = {"stage": "ltpo_evaluate", "setting": "weaver+trigger+ltpo", "max_steps": scale.ltpo_steps}
        return _evaluation(**(own | fields))(scale, seed, done)

    return config


STEPS = (
    Step("base", "base", _evaluation(setting="base")),
    Step("base_long", "base, answers twice as long", _twice_as_long),
    Step("weaver_sft", "weaver SFT", _training),
    Step("weaver_eval", "weaver", _evaluation(setting="weaver"), "weaver_sft"),
    Step("weaver_again", "weaver, in other batches", _evaluation(setting="weaver", batch_size=5), "weaver_sft"),
    Step("lora_sft", "plain LoRA SFT", _training),
    Step("lora_eval", "plain LoRA", _evaluation(setting="base", preset=LORA_PRESET)),
    Step("trigger_grpo", "trigger GRPO", _grpo, "weaver_sft"),
    Step("trigger_eval", "weaver + trigger", _evaluation(setting="weaver+trigger"), "trigger_grpo"),
    Step("random_eval", "weaver, insertions by chance", _random, "trigger_grpo"),
    Step("ltpo_eval", "weaver + trigger + LTPO", _ltpo(), "trigger_grpo"),
    Step("ltpo_none", "the same, LTPO with 0 steps", _ltpo(max_steps=0), "trigger_grpo"),
    Step("ltpo_noise", "the same, LTPO with noise alone", _ltpo(update="noise"), "trigger_grpo"),
)
TRAININGS = ("weaver_sft", "lora_sft", "trigger_grpo")


def is_evaluation(step: Step) -> bool:
    """Whether a step answers questions."""
    return step.name not in TRAININGS
