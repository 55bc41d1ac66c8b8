"""The address of the launch page: what is launched, and what its form starts from.

`?what=` is *Run all* or a single run's form; `?from=RUN` and `?from_pipeline=ID` start from earlier settings,
`?checkpoint=ID` and `?reuse_<step>=RUN` from what an earlier run has left; `?fix=RUN` mends a failed run;
`?try=SESSION&column=PLACE&data=NAME` evaluates a column of a session of Try on a data set.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import CheckpointOut, RunDetail, TrySessionDetail
from dashboard.launch.config_form import GROUP
from dashboard.launch.draft import (
    CHOICES,
    EVALUATIONS,
    LEFT_OUT,
    NOTE,
    SHARED_DRAFT,
    draft,
    forget_widgets,
    keep,
    keep_config,
    keep_spec,
)
from dashboard.launch.site_choice import start_at
from dashboard.launch.source import ALL_FORM, Source, forget_start, start_from
from dashboard.parts import api
from dashboard.parts.checkpoint import next_from
from dashboard.parts.focus import ask_for_field
from dashboard.parts.language import mark, t
from dashboard.parts.url_state import keep_in_url
from memgen.contract.config import stored_config
from memgen.contract.fixing import blamed_fields, fixing_spec, place_of
from memgen.contract.pipeline import SAME_QUESTIONS, SHARED, STEPS, PipelineSpec, StepName
from memgen.contract.stages import STAGES, forms, stage_named, trains
from memgen.contract.status import RunStatus

ALL = ALL_FORM
DEFAULT: StepName = "base_eval"
REUSE: dict[str, StepName] = {f"reuse_{name}": name for name in STEPS}
LOADED, SHOWN, REMEMBERED = "launch_loaded", "launch_shown", "remembered_what"
SOURCES = ("fix", "from", "from_pipeline", "checkpoint", "try", *REUSE)
OF_COLUMN = ("column", "data")  # what else names a column that is to be evaluated
SAME_BASE = ("preset", "revision", "data")


def whats() -> dict[str, str]:
    """What can be launched, by its name in the address: *Run all*, its steps in their order, and all other runs.

    Of these others an evaluation stands after the training whose checkpoints it measures.
    """
    makers = {stage.makes: number for number, stage in enumerate(STAGES) if stage.trains}

    def place(name: str) -> tuple[int, bool]:
        stage, form = known[name]
        number = STAGES.index(stage) if stage.trains else makers.get(stage.need(form.setting), len(STAGES))
        return number, not stage.trains

    known = forms()
    ordered = [*STEPS, *sorted(known, key=place)]  # a step keeps its first place
    return {ALL: mark("Run all"), **{name: known[name][1].label for name in ordered}}


def choose_what() -> str:
    """*Run all* or the form of a single run, chosen by address or mouse."""
    for name in [name for name in st.query_params if name not in {"what", *SOURCES, *OF_COLUMN}]:
        del st.query_params[name]  # of the page before, e.g. the run that was looked at
    _load_source()
    labels = whats()
    asked: Any = st.query_params.get("what")
    if asked in labels:
        st.session_state["what"] = st.session_state[REMEMBERED] = asked
    else:
        what = st.session_state.setdefault("what", st.session_state.get(REMEMBERED, DEFAULT))
        if what != DEFAULT:
            st.query_params["what"] = what
    chosen = st.segmented_control(
        t("What"), list(labels), key="what", format_func=lambda name: t(labels[name]), required=True, wrap=True,
        on_change=_what_changed,
        help=t("All steps one after the other, or a single one."),
    )  # fmt: skip
    if st.session_state.get(SHOWN) != chosen:
        # the same field has other bounds and another default in the next form
        forget_widgets()
        st.session_state[SHOWN] = chosen
    return chosen or DEFAULT


def form_of(stage: str, setting: str) -> str:
    """The form that launches a run of this stage and setting."""
    known = stage_named(stage).launch.forms
    fitting = (form for form in known if setting == form.setting or setting in form.turns.values())
    return next(fitting, known[0]).name


def forget_source() -> None:
    """To be called on other pages, so that a repeated link to the same source is followed again."""
    st.session_state.pop(LOADED, None)


def leave_source() -> None:
    """Take what the form started from out of the address, as something else is shown now."""
    for name in (*SOURCES, *OF_COLUMN):
        st.query_params.pop(name, None)
    forget_source()
    forget_start()


def _what_changed() -> None:
    keep_in_url("what", default=DEFAULT)()
    leave_source()


def _load_source() -> None:
    """Make the drafts that the address asks for, once: what is typed afterwards counts."""
    source = {name: value for name in SOURCES if (value := st.query_params.get(name, "")).isdecimal()}
    stamp = urlencode(source | {name: st.query_params.get(name, "") for name in OF_COLUMN if "try" in source})
    if not source or stamp == st.session_state.get(LOADED):
        return
    forget_start()
    with api.page_errors():
        if "fix" in source:
            what: str = _to_fix(api.client().run(int(source["fix"])))
        elif "from" in source:
            what = _from_run(api.client().run(int(source["from"])))
        elif "from_pipeline" in source:
            keep_spec(PipelineSpec.model_validate(api.client().pipeline(int(source["from_pipeline"])).spec))
            what = ALL
        elif "checkpoint" in source:
            what = _from_checkpoint(api.client().checkpoint(int(source["checkpoint"])))
        elif "try" in source:
            what = _from_column(api.client().try_session(int(source["try"])))
        else:
            what = _reuse({REUSE[name]: api.client().run(int(value)) for name, value in source.items()})
    st.session_state[LOADED] = stamp
    st.query_params["what"] = what
    forget_widgets()


def _from_run(run: RunDetail) -> str:
    config = stored_config(run.config).model_dump(mode="json")  # what it meant, whatever is default by now
    st.session_state[NOTE] = ""  # the note was about the other run
    start_at(run.site)
    return open_config(config, t("run {number}", number=run.id), run.id)


def _to_fix(run: RunDetail) -> str:
    """The form of a failed run, or of its pipeline, with the fields marked that its failure names."""
    what = _from_run(run)
    failure = run.failure
    if run.status is not RunStatus.FAILED or failure is None:
        return what
    words = f"{failure.message.rstrip('.')}. {failure.way_out}".strip()
    blamed = dict.fromkeys(blamed_fields(run.config, failure), t("The failure names this setting."))
    step = next((name for name in STEPS if name == run.step), None)
    source = Source(what, t("run {number}", number=run.id), run.config, run.id, words, blamed)
    if run.pipeline_id is not None and step is not None:
        pipeline = api.client().pipeline(run.pipeline_id)
        finished = {
            one.step: one.run.id
            for one in pipeline.steps
            if one.run is not None and one.run.status is RunStatus.SUCCEEDED
        }
        keep_spec(fixing_spec(PipelineSpec.model_validate(pipeline.spec), pipeline.id, finished))
        source = replace(
            source,
            form=ALL,
            words=t("pipeline {number}, {step}", number=pipeline.id, step=t(STEPS[step].label)),
            step=step,
            pipeline_id=pipeline.id,
        )
    start_from(source)
    for name in list(blamed)[:1]:
        place = place_of(step, name) if source.form == ALL and step is not None else "shared"
        ask_for_field(f"{GROUP if place == 'shared' else place}_{name}")
    return source.form


def open_config(config: Mapping[str, Any], words: str, run_id: int | None = None) -> str:
    """Let a form start from a config and be measured against it; returns the form's name.

    Args:
        config: whole.
        words: whose it is.
        run_id: the run that it is of, if it is a run's.
    """
    form = form_of(str(config["stage"]), str(config.get("setting", "")))
    keep_config(form, config)
    start_from(Source(form, words, config, run_id))
    return form


def _from_checkpoint(checkpoint: CheckpointOut) -> str:
    asked: Any = st.query_params.get("what")
    known = forms()
    if asked not in known or "checkpoint" in known[asked][1].absent:
        asked = next((one.form for one in next_from(checkpoint)), DEFAULT)
    _take_base({name: getattr(checkpoint, name) for name in SAME_BASE})
    keep(asked, {**draft(asked), "checkpoint": str(checkpoint.id)})
    return str(asked)


def _from_column(session: TrySessionDetail) -> str:
    """The evaluation whose config a column is, of all test questions of the data set that the address names."""
    asked = st.query_params.get("column", "")
    column = next((one for one in session.columns if str(one.place) == asked), session.columns[0])
    config = stored_config(column.config).model_dump(mode="json")
    config |= {"split": "test", "num_questions": None}
    if (data := st.query_params.get("data", "")) in {one.name for one in api.data_sets().items}:
        config["data"] = data
    form = form_of(config["stage"], config["setting"])
    keep_config(form, config)
    return form


def _reuse(runs: dict[StepName, RunDetail]) -> str:
    choices: dict[str, str] = {}
    for name, run in runs.items():
        _take_base(run.config)
        if not trains(run.stage):  # the new answers must be made under the same conditions
            keep(SHARED_DRAFT, {field: value for field, value in run.config.items() if field in SHARED})
            keep(EVALUATIONS, {**draft(EVALUATIONS), **{field: run.config[field] for field in SAME_QUESTIONS}})
        choices |= _line(name, run)
    keep(CHOICES, choices | {name: str(run.id) for name, run in runs.items()})
    return ALL


def _line(name: StepName, run: RunDetail) -> dict[str, str]:
    """What stands for the steps that a run's checkpoint comes from; they are left out where it comes from none."""
    choices: dict[str, str] = {}
    while run.parent_id is not None:
        try:
            run = api.client().run(run.parent_id)
        except ApiError as error:
            if error.problem.status != 404:
                raise
            return choices  # it was deleted
        step = next((one for one in STEPS[name].parents if STEPS[one].stage == run.stage), None)
        if step is None:
            return choices
        choices[step] = str(run.id)
        name = step
    return choices | dict.fromkeys(STEPS[name].parents, LEFT_OUT)


def _take_base(of: Mapping[str, Any]) -> None:
    """Another base model would make a checkpoint unusable; what it was trained on may not be known."""
    sets = {one.name for one in api.data_sets().items}
    known = {name: of.get(name) for name in SAME_BASE if name != "data" or of.get(name) in sets}
    keep(SHARED_DRAFT, {**draft(SHARED_DRAFT), **known})
