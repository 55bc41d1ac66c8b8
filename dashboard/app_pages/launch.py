"""Launch: the whole pipeline or one of its steps; fill in, see what it would take, submit."""

import json
from typing import Any

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import PipelinePreflight, PreflightReply, PresetOut
from dashboard.launch.address import ALL, choose_what
from dashboard.launch.config_form import form_fields
from dashboard.launch.draft import KEY, NOTE, idempotency_key
from dashboard.launch.pipeline_form import fill_in_demo, pipeline_form
from dashboard.launch.pipeline_preflight import pipeline_preflight
from dashboard.launch.preflight_panel import preflight_panel
from dashboard.launch.step_form import step_form
from dashboard.parts import api
from dashboard.parts.broken_plugins import broken_plugins
from memgen.contract.pipeline import STEPS, PipelineSpec
from memgen.contract.stages import forms


def launch_step(form_name: str, presets: list[PresetOut]) -> None:
    """The form of a single run beside its check."""
    stage, form = forms()[form_name]
    st.write(form.about)
    with api.page_errors():
        fields = form_fields(api.schema(stage.name))
    form_column, check_column = st.columns([3, 2], gap="large")
    with form_column, st.container(key="launch_form"):
        config = step_form(form_name, fields, presets)
        note = note_input("run")
    with check_column, st.container(border=True, key="preflight"):
        st.subheader("Before the launch", anchor=False)
        if stage.need(form.setting) is not None and config["checkpoint"] is None:
            reason = "Choose a checkpoint first."
        else:
            with api.page_errors():
                reason = why_not(check(config, form_name, presets))
        key = idempotency_key(json.dumps([config, note], sort_keys=True))
        if launch_button("Launch", "launch", reason):
            with api.page_errors():
                run = api.client().submit(config, note=note, key=key)
            del st.session_state[KEY]
            st.switch_page("app_pages/run.py", query_params={"run": str(run.id)})


def check(config: dict[str, Any], form_name: str, presets: list[PresetOut]) -> PreflightReply | None:
    """The preflight with its panel; None where the backend refuses to check."""
    try:
        reply = api.client().preflight(config)
    except ApiError as error:
        api.show_passing_error(error)
        return None
    preflight_panel(reply, form_name, config["preset"], presets)
    return reply


def launch_all(presets: list[PresetOut]) -> None:
    """The form of a pipeline beside its check."""
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    left.write(
        "Base evaluation, Weaver SFT, Weaver GRPO if you add it, Trigger GRPO, and their evaluations up to LTPO: each "
        "step from the checkpoint of the one before it, all on the same questions."
    )
    right.button(
        "Fill in the demo", key="fill_demo", icon=":material/auto_fix_high:", on_click=fill_in_demo, width="stretch",
        help="The demo model on a few generated word problems: shows every step, 7 to 15 minutes on 2 CPU cores.",
    )  # fmt: skip
    with api.page_errors():
        schemas = {stage: form_fields(api.schema(stage)) for stage in stages()}
    form_column, check_column = st.columns(2, gap="large")
    with form_column, st.container(key="launch_form"):
        spec = pipeline_form(schemas, presets)
        spec = spec.model_copy(update={"note": note_input("pipeline")})
    with check_column, st.container(border=True, key="preflight"):
        st.subheader("Before the launch", anchor=False)
        with api.page_errors():
            reason = why_not(check_all(spec, presets))
        key = idempotency_key(spec.model_dump_json())
        if launch_button("Run all", "run_all", reason):
            with api.page_errors():
                pipeline = api.client().submit_pipeline(spec, key=key)
            del st.session_state[KEY]
            st.switch_page("app_pages/pipeline.py", query_params={"pipeline": str(pipeline.id)})


def stages() -> list[str]:
    """The stages of the pipeline, each once."""
    return list(dict.fromkeys(step.stage for step in STEPS.values()))


def check_all(spec: PipelineSpec, presets: list[PresetOut]) -> PipelinePreflight | None:
    """The preflight of a pipeline with its table; None where the backend refuses to check."""
    try:
        reply = api.client().preflight_pipeline(spec)
    except ApiError as error:
        api.show_passing_error(error)
        return None
    pipeline_preflight(reply, spec, presets)
    return reply


def note_input(what: str) -> str:
    """A few words beside the settings."""
    typed = st.text_input(
        "Note", key=NOTE, max_chars=200, placeholder=f"a few words to find the {what} again", persist_state="session"
    )
    return typed or ""


def why_not(reply: PreflightReply | PipelinePreflight | None) -> str:
    """Why the button is off; empty if it is on."""
    if reply is None:
        return "The settings could not be checked."
    if not reply.ok:
        number = len(reply.problems)
        return f"Solve the problem{'' if number == 1 else f's ({number})'} above first."
    return ""


def launch_button(label: str, key: str, reason: str) -> bool:
    """The button that submits, with the reason why it is off above it."""
    if reason:
        st.caption(reason)
    return st.button(
        label, key=key, type="primary", icon=":material/rocket_launch:", disabled=bool(reason), width="stretch"
    )


st.title("Launch", anchor=False)
with api.page_errors():
    all_presets = api.presets()
    all_data_sets = api.data_sets()
broken_plugins(all_data_sets.broken)
chosen = choose_what()
if chosen == ALL:
    launch_all(all_presets)
else:
    launch_step(chosen, all_presets)
