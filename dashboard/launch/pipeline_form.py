"""The form of *Run all*: what the steps share, what the evaluations share, and each step's own settings."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from backend.api.schemas import PresetOut
from dashboard.launch.config_form import FormField, config_widgets, current_value, starting_value
from dashboard.launch.draft import (
    ALL_STEPS,
    CHOICES,
    EVALUATIONS,
    LEFT_OUT,
    NEW_RUN,
    SHARED_DRAFT,
    draft,
    keep,
    keep_spec,
)
from dashboard.launch.measure import Measure
from dashboard.launch.model_choice import choose_model
from dashboard.launch.reuse_choice import Reusable, all_reusable, choose_run, current_choice, settle_choices
from dashboard.launch.source import ALL_FORM, forget_start, show_mended_pipeline, source_of
from dashboard.launch.stage_fields import changed, defaults, empty_text, step_fields, with_dependent_defaults
from dashboard.launch.step_form import taking_defaults
from dashboard.launch.variation_choice import choose_variation
from dashboard.parts import api
from dashboard.parts.language import plural, t
from memgen.contract.demo import small_spec
from memgen.contract.fixing import place_of
from memgen.contract.pipeline import SHARED, STEPS, USUAL, PipelineSpec, StepName

FIRST_SHARED = ("data", "max_completion_length", "seed")
OF_EVALUATIONS = ("split", "num_questions", "batch_size")
BASE_STAGE = STEPS["base_eval"].stage  # has every field that all steps, or all evaluations, share


def pipeline_form(schemas: Mapping[str, Sequence[FormField]], presets: Sequence[PresetOut]) -> PipelineSpec:
    """Draw the form and return what it asks for.

    Args:
        schemas: fields by stage.
        presets: models that can be launched.
    """
    evaluate = {field.name: field for field in schemas[BASE_STAGE]}
    source = source_of(ALL_FORM)
    if source is not None:
        show_mended_pipeline(source)
    shared = _shared({name: evaluate[name] for name in SHARED}, presets)
    st.subheader(t("Evaluations"), anchor=False)
    of_evaluations = [evaluate[name] for name in OF_EVALUATIONS]
    evaluations = config_widgets(
        of_evaluations,
        draft(EVALUATIONS),
        group=EVALUATIONS,
        empty=partial(empty_text, BASE_STAGE),
        beside=Measure({}, blamed=blamed_in(EVALUATIONS)).beside(partial(empty_text, BASE_STAGE), EVALUATIONS),
    )
    st.subheader(t("Steps of the pipeline"), anchor=False)
    with api.page_errors():
        candidates = all_reusable(shared["preset"], shared["data"])
        chosen = settle_choices(candidates)
    steps = {name: _step(name, schemas[STEPS[name].stage], candidates, chosen) for name in STEPS}
    choices = {name: current_choice(name) for name in STEPS}
    drafts: dict[str, Mapping[Any, Any]] = {
        SHARED_DRAFT: shared, EVALUATIONS: evaluations, ALL_STEPS: steps, CHOICES: choices,
    }  # fmt: skip
    for place, values in drafts.items():
        keep(place, values)
    return build_spec(
        {"preset": shared["preset"]} | changed(BASE_STAGE, list(evaluate.values()), shared),
        changed(BASE_STAGE, of_evaluations, evaluations),
        steps,
        choices,
    )


def build_spec(
    shared: Mapping[str, Any],
    evaluations: Mapping[str, Any],
    steps: Mapping[StepName, Mapping[str, Any]],
    choices: Mapping[StepName, str],
) -> PipelineSpec:
    """The pipeline of a filled form; settings of steps that are not run are left out."""
    new = [name for name in STEPS if choices[name] == NEW_RUN]
    return PipelineSpec(
        shared=dict(shared),
        evaluations=dict(evaluations),
        steps={name: dict(steps[name]) for name in new if steps[name]},
        include=None if {name for name in STEPS if choices[name] != LEFT_OUT} == {*USUAL} else new,
        reuse={name: int(choice) for name, choice in choices.items() if choice not in {NEW_RUN, LEFT_OUT}},
    )


def fill_in_small() -> None:
    """Put the small pipeline that trains every stage into the form."""
    forget_start()
    keep_spec(small_spec())


def _shared(fields: Mapping[str, FormField], presets: Sequence[PresetOut]) -> dict[str, Any]:
    given = draft(SHARED_DRAFT)
    values: dict[str, Any] = {"preset": choose_model(fields, given, presets)}
    first = [fields[name] for name in FIRST_SHARED]
    rest = [field for name, field in fields.items() if name not in {"preset", *FIRST_SHARED}]
    empty = partial(empty_text, BASE_STAGE)
    measure = Measure({}, blamed=blamed_in("shared"))
    values |= config_widgets(first, given, empty=empty, beside=measure.beside(empty))
    unfolded = any(
        measure.differs(field, starting_value(field, given)) or field.name in measure.blamed for field in rest
    )
    with st.expander(t("More settings"), key="more_settings", expanded=unfolded):
        values |= config_widgets(rest, given, empty=empty, beside=measure.beside(empty))
    return values


def _step(
    name: StepName,
    schema: Sequence[FormField],
    candidates: Mapping[StepName, Sequence[Reusable]],
    chosen: Mapping[StepName, Reusable],
) -> dict[str, Any]:
    """Draw the folded part of one step and return its settings that differ from the defaults."""
    step, fields = STEPS[name], step_fields(name, schema)
    given = with_dependent_defaults(step.stage, draft(ALL_STEPS).get(name, {}))
    shown = {field.name: current_value(field, given, name) for field in fields}
    before, measure = (
        changed(step.stage, fields, shown),
        Measure(defaults(step.stage, fields, shown), blamed=blamed_in(name)),
    )
    number = list(STEPS).index(name) + 1
    with st.expander(
        f"{number}. {t(step.label)}{step_state(current_choice(name), before, chosen.get(name))}",
        key=f"{name}_step",
        expanded=bool(measure.blamed),
    ):
        choose_run(name, candidates)
        if current_choice(name) != NEW_RUN:
            return dict(draft(ALL_STEPS).get(name, {}))  # there again once the step is run
        choose_variation(step.stage, name, fields, given)
        values = config_widgets(
            fields,
            given,
            group=name,
            empty=partial(_empty_text, step.stage),
            on_change=taking_defaults(step.stage, name, fields),
            beside=measure.beside(partial(_empty_text, step.stage), name),
        )
    return changed(step.stage, fields, values)


def blamed_in(place: str) -> dict[str, str]:
    """What a failure says of the fields of a part of the form; nothing where none is mended."""
    source = source_of(ALL_FORM)
    if source is None or source.step is None:
        return {}
    return {name: words for name, words in source.blamed.items() if place_of(source.step, name) == place}


def _empty_text(stage: str, field: str) -> str:
    return t("as above") if field == "batch_size" else empty_text(stage, field)


def step_state(choice: str, settings: Mapping[str, Any], reused: Reusable | None = None) -> str:
    """What stands beside a step's name while it is folded."""
    if choice == LEFT_OUT:
        return f" · {t('left out')}"
    if reused is not None and reused.outside:
        return f" · {t('reuses checkpoint {number}', number=choice)}"
    if choice != NEW_RUN:
        return f" · {t('reuses run {number}', number=choice)}"
    if not settings:
        return ""
    return f" · {plural('{n} setting changed', '{n} settings changed', len(settings))}"
