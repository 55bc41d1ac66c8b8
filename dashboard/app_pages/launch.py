"""Launch: the whole pipeline or one of its steps; fill in, see what it would take, submit."""

import json
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.api.client import ApiError
from backend.api.schemas import PipelinePreflight, PreflightReply, PresetOut
from dashboard.launch.address import ALL, choose_what
from dashboard.launch.config_form import form_fields
from dashboard.launch.draft import KEY, NOTE, idempotency_key
from dashboard.launch.elsewhere import show_elsewhere
from dashboard.launch.labels import Labels, choose_labels
from dashboard.launch.pipeline_form import fill_in_small, pipeline_form
from dashboard.launch.pipeline_preflight import pipeline_preflight
from dashboard.launch.preflight_panel import preflight_panel
from dashboard.launch.saved import open_saved, save_settings
from dashboard.launch.site_choice import choose_site
from dashboard.launch.source import forget_start, source_of
from dashboard.launch.step_form import step_form
from dashboard.parts import api
from dashboard.parts.broken_plugins import broken_plugins
from dashboard.parts.demo_offer import demo_button
from dashboard.parts.focus import ask_for_title, give_to_field
from dashboard.parts.foreign_text import sentence
from dashboard.parts.language import plural, t
from memgen.contract.pipeline import STEPS, PipelineSpec
from memgen.contract.stages import forms

# beside the form the check stays in view, and on a narrow screen, where it comes after the form, its button does
STYLE = """<style>
@media (min-width: 641px) {
  [data-testid="stLayoutWrapper"]:has(> .st-key-preflight) { position: sticky; top: 4rem; }
  .st-key-preflight { max-height: calc(100vh - 6rem); overflow-y: auto; }
}
@media (max-width: 640px) {
  .st-key-launch_bar {
    position: fixed; bottom: 0; left: 0; right: 0; z-index: 90; padding: 0.6rem 1rem;
    background: Canvas; border-top: 1px solid GrayText;
  }
  .st-key-preflight { margin-bottom: 6rem; }
}
[class*="_back_to_"] { margin-top: -0.8rem; }
[class*="_back_to_"] button { min-height: 1.4rem; padding: 0; font-weight: 600; }
</style>"""


def launch_step(form_name: str, presets: list[PresetOut]) -> None:
    """The form of a single run beside its check."""
    stage, form = forms()[form_name]
    st.write(t(form.about))
    with api.page_errors():
        fields = form_fields(api.schema(stage.name))
    form_column, check_column = st.columns([3, 2], gap="large")
    with form_column, st.container(key="launch_form"):
        config = step_form(form_name, fields, presets)
        site = choose_site()
        note = note_input(t("a few words to find the run again"))
        labels = choose_labels()
    with check_column, st.container(border=True, key="preflight"):
        bar = check_head()
        reply = None
        if stage.need(form.setting) is not None and config["checkpoint"] is None:
            reason = t("Choose a checkpoint first.")
        else:
            with api.page_errors():
                reply = check(config, form_name, presets, site)
                reason = why_not(reply)
        source = source_of(form_name)
        fixes = None if source is None else source.mended_run
        key = idempotency_key(json.dumps([config, note, fixes, labels.named, site], sort_keys=True))
        with bar:
            launches = launch_button(t("Launch"), "launch", reason, reply.starts if reply is not None else "")
        for_later(config, note, fixes, labels, site)
        if launches:
            with api.page_errors():
                run = api.client().submit(
                    config, note=note, fixes=fixes, tags=labels.tags, group=labels.group, site=site, key=key
                )
            launched()
            st.switch_page("app_pages/run.py", query_params={"run": str(run.id)})


def launched() -> None:
    """What is launched next is another run; its tags may be new ones."""
    api.forget_tags()
    del st.session_state[KEY]
    forget_start()
    ask_for_title()


def check_head() -> DeltaGenerator:
    """Heading of the check, and the place of the button below it."""
    st.subheader(t("Before the launch"), anchor=False)
    return st.container(key="launch_bar", gap="xsmall")


def for_later(
    settings: dict[str, Any] | PipelineSpec, note: str, fixes: int | None, labels: Labels, site: str | None
) -> None:
    """The same launch elsewhere, and kept under a name."""
    with st.expander(t("The same as a command"), icon=":material/terminal:", key="elsewhere"):
        show_elsewhere(api.client().url, settings, note, fixes, labels, site)
    with st.expander(t("Save these settings"), icon=":material/bookmark_add:", key="save"):
        save_settings(settings)


def check(config: dict[str, Any], form_name: str, presets: list[PresetOut], site: str | None) -> PreflightReply | None:
    """The preflight with its panel; None where the backend refuses to check."""
    try:
        reply = api.client().preflight(config, site=site)
    except ApiError as error:
        api.show_passing_error(error)
        return None
    preflight_panel(reply, form_name, config["preset"], presets)
    return reply


def launch_all(presets: list[PresetOut]) -> None:
    """The form of a pipeline beside its check."""
    left, middle, right = st.columns([4, 1, 1], vertical_alignment="bottom")
    left.write(
        t(
            "Base evaluation, Weaver SFT, Weaver GRPO if you add it, Trigger GRPO, and their evaluations up to LTPO, "
            "with a plain LoRA beside them if you add it: each step from the checkpoint of the one before it, all on "
            "the same questions."
        )
    )
    with middle:
        demo_button(width="stretch")
    right.button(
        t("Fill in a small one"), key="fill_small", icon=":material/auto_fix_high:", on_click=fill_in_small,
        width="stretch",
        help=t(
            "The smallest model on a few generated word problems, a few steps of each training: shows that all works, "
            "not that it helps. 7 to 15 minutes on 2 CPU cores."
        ),
    )  # fmt: skip
    with api.page_errors():
        schemas = {stage: form_fields(api.schema(stage)) for stage in stages()}
    form_column, check_column = st.columns(2, gap="large")
    with form_column, st.container(key="launch_form"):
        spec = pipeline_form(schemas, presets)
        source = source_of(ALL)
        fixes = None if source is None else source.pipeline_id
        site = choose_site()
        note = note_input(t("a few words to find the pipeline again"))
        spec = spec.model_copy(update={"note": note, "fixes": fixes, "site": site})
        labels = choose_labels()
    with check_column, st.container(border=True, key="preflight"):
        bar = check_head()
        with api.page_errors():
            reply = check_all(spec, presets)
        key = idempotency_key(json.dumps([spec.model_dump(mode="json"), labels.named], sort_keys=True))
        with bar:
            first = next(iter(reply.steps.values()), None) if reply is not None else None
            launches = launch_button(t("Run all"), "run_all", why_not(reply), first.starts if first is not None else "")
        for_later(spec, note, fixes, labels, site)
        if launches:
            with api.page_errors():
                pipeline = api.client().submit_pipeline(spec, tags=labels.tags, group=labels.group, key=key)
            launched()
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


def note_input(about: str) -> str:
    """A few words beside the settings."""
    typed = st.text_input(t("Note"), key=NOTE, max_chars=200, placeholder=about, persist_state="session")
    return typed or ""


def why_not(reply: PreflightReply | PipelinePreflight | None) -> str:
    """Why the button is off; empty if it is on."""
    if reply is None:
        return t("The settings could not be checked.")
    if not reply.ok:
        return plural("Solve the problem below first.", "Solve the problems ({n}) below first.", len(reply.problems))
    return ""


def launch_button(label: str, key: str, reason: str, starts: str) -> bool:
    """The button that submits; below it the reason why it is off, or when the run would start."""
    clicked = st.button(
        label, key=key, type="primary", icon=":material/rocket_launch:", disabled=bool(reason), width="stretch"
    )
    if reason or starts:
        st.caption(reason or f":material/schedule: {sentence(starts)}")
    return clicked


st.html(STYLE)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title(t("Launch"), anchor=False, width="content")
    open_saved()
with api.page_errors():
    all_presets = api.presets()
    all_data_sets = api.data_sets()
broken_plugins(all_data_sets.broken)
chosen = choose_what()
if chosen == ALL:
    launch_all(all_presets)
else:
    launch_step(chosen, all_presets)
give_to_field()
