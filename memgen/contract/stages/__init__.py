"""The stages: the tuple that all rooms derive from, and looking one up by its name."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from memgen.contract.checkpoint_kinds import KINDS
from memgen.contract.errors import BadInput
from memgen.contract.stage import Form, Next, Stage
from memgen.contract.stage_configs import USUAL, StageConfig
from memgen.contract.stages import evaluate, lora_grpo, lora_sft, ltpo_evaluate, trigger_grpo, weaver_grpo, weaver_sft
from memgen.contract.weaver_variants import USUAL_SHAPE

STAGES: tuple[Stage[Any], ...] = (
    evaluate.STAGE,
    weaver_sft.STAGE,
    weaver_grpo.STAGE,
    trigger_grpo.STAGE,
    ltpo_evaluate.STAGE,
    lora_sft.STAGE,
    lora_grpo.STAGE,
)
"""All stages; the first is the default of the command line."""


def find_stage(name: str) -> Stage[Any] | None:
    """The stage of this name; None where there is none, as for a run of a newer version."""
    return next((stage for stage in STAGES if stage.name == name), None)


def stage_named(name: str) -> Stage[Any]:
    """The stage of this name.

    Raises:
        BadInput: `unknown_stage`.
    """
    stage = find_stage(name)
    if stage is None:
        raise BadInput(
            "unknown_stage", "no stage of this name", field="stage", value=name, way_out=f"Known: {stage_names()}."
        )
    return stage


def set_apart(stage: str, config: Mapping[str, Any]) -> list[str]:
    """What of a stored config sets a run apart from the usual one, in words: `static latents`, `rank 4`."""
    found = find_stage(stage)
    if found is None:
        return []
    usual = _usual(found.config)  # type: ignore[arg-type]  # a class can be hashed
    return [words(config[name]) for name, words in found.told.items() if config.get(name) not in (None, usual[name])]


@cache
def _usual(config: type[StageConfig]) -> Mapping[str, Any]:
    """What stands in each field where nobody says otherwise; lists ask it for every row."""
    known = {**USUAL, **USUAL_SHAPE}
    return {
        name: known.get(name) if field.default is None else field.default for name, field in config.model_fields.items()
    }


def stage_of(config: StageConfig) -> Stage[Any]:
    """The stage of a config."""
    return stage_named(config.stage)


def stage_names() -> str:
    """`evaluate, weaver_sft, ...`, for messages and help."""
    return ", ".join(stage.name for stage in STAGES)


def trains(name: str) -> bool:
    """Whether runs of the stage of this name are trainings, which leave a checkpoint; others answer questions."""
    stage = find_stage(name)
    return stage is not None and stage.trains


def training_names() -> list[str]:
    """Names of the stages that train."""
    return [stage.name for stage in STAGES if stage.trains]


def evaluation_names() -> list[str]:
    """Names of the stages that answer questions."""
    return [stage.name for stage in STAGES if not stage.trains]


def next_of(kind: str, trained: Sequence[str]) -> tuple[Next, ...]:
    """What can be launched from a checkpoint, by what it is; the usual thing first.

    Args:
        kind: name in `KINDS`.
        trained: parts that were trained.
    """
    offered = reversed(KINDS[kind].offers) if kind in KINDS else ()
    wanted = [kind, *(name for name in offered if name in trained)]
    makers = (stage for name in wanted for stage in STAGES if stage.makes == name)
    return next((stage.next for stage in makers), ())


def forms() -> dict[str, tuple[Stage[Any], Form]]:
    """Every way to launch a single run, by its name."""
    return {form.name: (stage, form) for stage in STAGES for form in stage.launch.forms}
