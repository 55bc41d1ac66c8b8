"""What the demo does, and the small pipeline that trains every stage: on the smallest model, in minutes on a CPU."""

from collections.abc import Mapping
from typing import Any, Literal

from memgen.contract.config import RunConfig
from memgen.contract.data_sets.registry import DEMO
from memgen.contract.data_sets.registry import SHIPPED as DATA
from memgen.contract.pipeline import PipelineSpec, planned_config
from memgen.contract.presets import DEMO_PRESET, SHIPPED_PRESET

Shipped = Literal["trigger", "lora"]
SHIPPED: dict[Shipped, str] = {
    "trigger": "Comes with MemGen Studio: weaver and trigger, trained on generated word problems",
    "lora": "Comes with MemGen Studio: plain LoRA, trained on the same word problems",
}
"""Checkpoints that come with the project, and the note that each is given."""
LIVE_NOTE = "Demo: a few steps of training"
_DEMO = {"preset": SHIPPED_PRESET, "data": DATA, "max_completion_length": 96}
_LIVE: dict[str, Any] = {
    "max_steps": 16,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "latents_learning_rate": 3e-3,
    "projections_learning_rate": 3e-3,
    "eval_questions": 16,
    "eval_steps": 8,
    "save_steps": 8,
}
"""Of a weaver that is trained for a few steps, to show the curves."""


def demo_spec(shipped: Mapping[str, int]) -> PipelineSpec:
    """The demo: what a weaver, a trigger and LTPO change, with the checkpoints that come with the project.

    Args:
        shipped: numbers of these checkpoints, by their names in `SHIPPED`.
    """
    return PipelineSpec(
        note="Demo",
        shared=_DEMO,
        evaluations={"num_questions": 48, "batch_size": 24},
        steps={"ltpo_eval": {"max_steps": 3}},
        include=["base_eval", "weaver_eval", "trigger_eval", "ltpo_eval", "lora_eval"],
        reuse={"weaver_sft": shipped["trigger"], "trigger_grpo": shipped["trigger"], "lora_sft": shipped["lora"]},
    )


def live_config() -> RunConfig:
    """The demo's training, a few steps beside its pipeline, so that its curves can be watched."""
    return planned_config(PipelineSpec(shared=_DEMO, steps={"weaver_sft": _LIVE}), "weaver_sft")


def small_spec() -> PipelineSpec:
    """The small pipeline that trains a weaver and a trigger, for a few steps each: it shows that all works, no more."""
    return PipelineSpec(
        note="Small",
        shared={"preset": DEMO_PRESET, "data": DEMO, "max_completion_length": 96},
        evaluations={"num_questions": 24, "batch_size": 8},
        steps={
            "weaver_sft": _LIVE,
            "trigger_grpo": {
                "max_steps": 4,
                "batch_size": 8,
                "gradient_accumulation_steps": 1,
                "num_generations": 4,
                "sample_tokens": True,
                "learning_rate": 1e-4,
                "save_steps": 2,
            },
            "ltpo_eval": {"max_steps": 3},
        },
    )
