"""A pipeline: steps from the base model to LTPO, each a run, chained by checkpoints.

A step takes the checkpoint of its parent step, the nearest that is part of the pipeline. What the steps share (model,
data, lengths, seed) is said once; a step that contradicts it is refused, as its answers could not be compared with the
others'.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from memgen.contract.config import InvalidConfig, RunConfig, parse_config
from memgen.contract.errors import BadInput
from memgen.contract.stage_configs import StageConfig
from memgen.contract.stages import forms, stage_of, trains
from memgen.contract.weaver_shape import SHAPE_CODES, shape_of

StepName = Literal[
    "base_eval", "weaver_sft", "weaver_grpo", "weaver_eval", "trigger_grpo", "trigger_eval", "ltpo_eval", "lora_sft",
    "lora_eval",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step of the pipeline."""

    label: str
    stage: str
    setting: str | None
    """Of an evaluation."""
    parents: tuple[StepName, ...]
    """It starts from the checkpoint of the first of these steps that is part of the pipeline."""
    starts_anew: bool
    """Whether it can do without any checkpoint."""


PARENTS: dict[StepName, tuple[StepName, ...]] = {
    "base_eval": (),
    "weaver_sft": (),
    "weaver_grpo": ("weaver_sft",),
    "weaver_eval": ("weaver_grpo", "weaver_sft"),
    "trigger_grpo": ("weaver_grpo", "weaver_sft"),
    "trigger_eval": ("trigger_grpo",),
    "ltpo_eval": ("trigger_grpo",),
    "lora_sft": (),
    "lora_eval": ("lora_sft",),
}
"""The steps in their order, and whose checkpoint each starts from; what a step does is what its stage says of it."""
OPTIONAL: frozenset[StepName] = frozenset({"weaver_grpo", "lora_sft", "lora_eval"})
"""Steps that run only where a pipeline includes them by name."""
USUAL = tuple(name for name in PARENTS if name not in OPTIONAL)
"""Steps of a pipeline that names none."""


def _steps() -> dict[StepName, Step]:
    known = forms()
    ordered = [(name, parents, *known[name]) for name, parents in PARENTS.items()]
    return {
        name: Step(form.label, stage.name, form.setting, parents, stage.need(form.setting) is None)
        for name, parents, stage, form in ordered
    }


STEPS = _steps()
BASE_STEP: StepName = "base_eval"
"""The evaluation against which those of a pipeline are judged."""
EXPECTED_POINTS: dict[str, tuple[float, float]] = {
    "weaver": (5, 10),
    "weaver+trigger": (10, 15),
    "weaver+trigger+ltpo": (15, 20),
}
"""Expected change in accuracy against the base, in percentage points, by setting."""
EXPECTED_OF: frozenset[StepName] = frozenset({"weaver_sft", "trigger_grpo"})
"""The trainings that this is expected of, and of no others."""
SHARED = tuple(name for name in StageConfig.model_fields if name != "stage")
SAME_QUESTIONS = ("split", "num_questions")
ANY_CHECKPOINT = "1"  # stands for the parent's id until its run is stored


class PipelineSpec(BaseModel):
    """A pipeline to run."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    note: str = Field(default="", max_length=200)
    """A few words to find the pipeline again."""
    shared: dict[str, Any]
    """Config fields of every step; `preset`, the base model, must be among them."""
    evaluations: dict[str, Any] = Field(default_factory=dict)
    """Config fields of every evaluation, e.g. `num_questions` and `batch_size`."""
    steps: dict[StepName, dict[str, Any]] = Field(default_factory=dict)
    """Config fields by step; what is not named keeps its default."""
    include: list[StepName] | None = Field(default=None, max_length=len(STEPS))
    """Steps to run; null runs all that are not reused and not optional."""
    reuse: dict[StepName, int] = Field(default_factory=dict)
    """What stands for a step and is taken as it is, by its number: a run that has succeeded, with its answers or its
    checkpoint, or for a training a checkpoint from outside."""
    fixes: int | None = Field(default=None, ge=1, le=2**63 - 1)
    """Pipeline that failed and that this one mends."""
    site: str | None = Field(default=None, max_length=200)
    """Where its runs are to go, one of `GET /sites`; null for the workers of the service."""

    @property
    def to_run(self) -> list[StepName]:
        """Steps that get a run of their own, parents first."""
        wanted = USUAL if self.include is None else self.include
        return [name for name in STEPS if name in wanted and name not in self.reuse]

    def parent_of(self, name: StepName) -> StepName | None:
        """The step of this pipeline whose checkpoint a step starts from."""
        chosen = {*self.to_run, *self.reuse}
        return next((parent for parent in STEPS[name].parents if parent in chosen), None)


def plan_pipeline(spec: PipelineSpec) -> dict[StepName, RunConfig]:
    """The config of each step to run, parents first; a child's `checkpoint` is still a placeholder.

    Raises:
        InvalidConfig: with every problem found, fields named like `steps.weaver_sft.learning_rate`.
    """
    problems = list(_shape_problems(spec))
    configs: dict[StepName, RunConfig] = {}
    for name in spec.to_run:
        given = {**_for_step(spec, name), **spec.steps.get(name, {})}
        for field, value in _fixed(spec, name).items():
            if given.get(field) not in (None, value):
                problems.append(
                    BadInput(
                        "step_fixed",
                        _fixed_words(name, field, value),
                        field=f"steps.{name}.{field}",
                        value=given[field],
                        way_out="Leave it out, reuse a run for the parent step, or launch a single run.",
                    )
                )
        try:
            configs[name] = planned_config(spec, name)
        except InvalidConfig as error:
            problems += [_moved(problem, spec, name) for problem in error.problems]
    problems += _disagreements(spec, configs)
    if problems:
        raise InvalidConfig(_once(problems))
    return configs


def planned_config(spec: PipelineSpec, name: StepName) -> RunConfig:
    """The config that a step has, or would have if it was run anew and not reused.

    Raises:
        InvalidConfig: the step's fields can't be used.
    """
    return parse_config({**_for_step(spec, name), **spec.steps.get(name, {}), **_fixed(spec, name)})


def _fixed(spec: PipelineSpec, name: StepName) -> dict[str, Any]:
    """Fields of a step's config that are not for the user to set."""
    step = STEPS[name]
    fixed: dict[str, Any] = {"stage": step.stage}
    if step.setting is not None:
        fixed["setting"] = step.setting
    fixed["checkpoint"] = None if step.starts_anew and spec.parent_of(name) is None else ANY_CHECKPOINT
    _, form = forms()[name]
    return fixed | dict.fromkeys(form.alone)


def _fixed_words(name: StepName, field: str, value: Any) -> str:
    if field == "checkpoint":
        return "a step's checkpoint is that of its parent step"
    return f"in the step {name} of a pipeline this {'stays empty' if value is None else f'is {value}'}"


def _for_step(spec: PipelineSpec, name: StepName) -> dict[str, Any]:
    """Fields that all steps, or all evaluations, are given."""
    shared = dict(spec.shared)
    if not trains(STEPS[name].stage):
        shared |= spec.evaluations
    return shared


def _shape_problems(spec: PipelineSpec) -> Iterator[BadInput]:
    if not spec.shared.get("preset"):
        yield BadInput(
            "no_base",
            "the pipeline names no base model",
            field="shared.preset",
            way_out="Set shared.preset to a model of GET /presets.",
        )
    chosen = {*spec.to_run, *spec.reuse}
    if BASE_STEP not in chosen:
        yield BadInput(
            "no_base",
            "the pipeline has no base evaluation to compare with",
            field="include",
            value=", ".join(sorted(chosen)),
            way_out=f"Include {BASE_STEP}, or reuse a finished base evaluation for it.",
        )
    if not spec.to_run:
        yield BadInput("nothing_to_run", "every step is reused", field="include", way_out="Include a step to run.")
    for name in spec.to_run:
        if not STEPS[name].starts_anew and spec.parent_of(name) is None:
            parents = " or ".join(reversed(STEPS[name].parents))
            yield BadInput(
                "no_parent",
                f"the step {name} needs the checkpoint of {parents}",
                field=f"steps.{name}.checkpoint",
                way_out=f"Include {parents}, or reuse a finished run for it.",
            )
    for field in sorted({*SHARED, "stage"} & {*spec.evaluations}):
        yield BadInput(
            "steps_disagree",
            "this holds for every step, not for the evaluations alone",
            field=f"evaluations.{field}",
            value=spec.evaluations[field],
            way_out=f"Set shared.{field} instead." if field in SHARED else "Leave it out.",
        )
    for name in spec.steps:
        if name not in spec.to_run:
            yield BadInput(
                "step_not_run",
                f"the step {name} is not run in this pipeline",
                field=f"steps.{name}",
                way_out="Leave its settings out, or include it.",
            )


def _disagreements(spec: PipelineSpec, configs: Mapping[StepName, RunConfig]) -> Iterator[BadInput]:
    for name, config in configs.items():
        fields = SHARED + (() if stage_of(config).trains else SAME_QUESTIONS)
        for field in fields:
            if field not in spec.steps.get(name, {}):
                continue
            others = {
                getattr(other, field)
                for step, other in configs.items()
                if step != name and (field in SHARED or not stage_of(other).trains)
            }
            mine = getattr(config, field)
            if others - {mine}:
                place = "shared" if field in SHARED else "evaluations"
                yield BadInput(
                    "steps_disagree",
                    f"other steps have {field} {', '.join(map(str, sorted(others - {mine}, key=str)))}, and answers "
                    "under different conditions can't be compared",
                    field=f"steps.{name}.{field}",
                    value=mine,
                    way_out=f"Set {place}.{field} instead.",
                )
    for name, config in configs.items():
        first = _first_ancestor(spec, name)
        if name == first or first not in configs:
            continue
        for field, code in SHAPE_CODES.items():
            given, trained_with = getattr(config, field, None), shape_of(configs[first])[field]
            if given is not None and given != trained_with:
                yield BadInput(
                    code,
                    f"the weaver of this pipeline is trained with {field} {trained_with}",
                    field=f"steps.{name}.{field}",
                    value=given,
                    way_out=f"Leave it out, or set steps.{first}.{field}.",
                )


def _first_ancestor(spec: PipelineSpec, name: StepName) -> StepName:
    """The step from whose checkpoint all others up to this one descend; itself, where it starts from none."""
    parent = spec.parent_of(name)
    return name if parent is None else _first_ancestor(spec, parent)


def _moved(problem: BadInput, spec: PipelineSpec, name: StepName) -> BadInput:
    """A problem of a step's config, named by where the pipeline says the field."""
    field = problem.field or ""
    if field not in spec.steps.get(name, {}) and field in _for_step(spec, name):
        place = "evaluations" if field in spec.evaluations else "shared"
    else:
        place = f"steps.{name}"
    return problem.at(f"{place}.{field}" if field else place)


def _once(problems: list[BadInput]) -> list[BadInput]:
    """A shared field that is wrong is wrong in every step and said once."""
    return list({(problem.code, problem.field): problem for problem in problems}.values())
