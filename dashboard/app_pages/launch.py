"""Launch: fill in a config, see what it would take, submit it. `?from=ID` starts from an earlier run's."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import streamlit as st

from backend.client import ApiError
from backend.schemas import PreflightReply, PresetOut
from dashboard import api
from dashboard.config_form import FormField, config_widget, form_fields, starting_value, widget_key
from dashboard.preflight_panel import preflight_panel, preset_text
from dashboard.text import about_size, count, escape_markdown

STAGE = "evaluate"
FIRST = ("data", "split", "num_questions", "batch_size", "max_completion_length")
DRAFT, DRAFT_OF, KEY, NOTE = "launch_draft", "launch_draft_of", "launch_idempotency", "launch_note"


def load_draft(fields: Sequence[FormField]) -> dict[str, Any]:
    """What the form starts from: the run that `?from=` names, else what was typed last, else nothing."""
    source = st.query_params.get("from")
    if source and source != st.session_state.get(DRAFT_OF) and source.isdecimal():
        with api.page_errors():
            run = api.client().run(int(source))
        st.session_state[DRAFT], st.session_state[DRAFT_OF] = dict(run.config), source
        st.session_state[NOTE] = ""  # the note was about the other run
        for field in fields:
            st.session_state.pop(widget_key(field), None)
    draft: dict[str, Any] = st.session_state.setdefault(DRAFT, {})
    return draft


def choose_model(field: FormField, draft: Mapping[str, Any], presets: Sequence[PresetOut]) -> str:
    """The model, with the memory of one copy of its weights and what it is good for."""
    by_name = {preset.name: preset for preset in presets}
    key = widget_key(field)
    wanted = starting_value(field, draft)
    if st.session_state.get(key, wanted) in by_name:
        st.session_state.setdefault(key, wanted)
    else:
        st.session_state[key] = next(iter(by_name))
        st.warning(f"{escape_markdown(str(wanted))} can't be launched here any more; another model is chosen.")
    name = st.selectbox(
        "Model", list(by_name), key=key, help=field.help, format_func=lambda name: preset_text(by_name[name])
    )
    chosen = by_name[name]
    st.caption(
        f"{count(chosen.parameters / 1e6)} million parameters; one copy of the weights takes "
        f"{escape_markdown(about_size(chosen.weights_bytes))} in bfloat16."
    )
    return name


def fill_in(fields: Sequence[FormField], presets: Sequence[PresetOut]) -> dict[str, Any]:
    """Draw the form and return the config: the model, the important fields, the rest folded away."""
    draft = load_draft(fields)
    by_name = {field.name: field for field in fields}
    config = {field.name: field.default for field in fields if field.kind == "const"}
    what = " · ".join(f"{field.label.lower()} **{field.default}**" for field in fields if field.kind == "const")
    st.caption(what)
    config["preset"] = choose_model(by_name["preset"], draft, presets)
    first = [by_name[name] for name in FIRST if name in by_name]
    rest = [field for field in fields if field.name not in {"preset", *FIRST} and field.kind != "const"]
    draw(first, draft, config)
    with st.expander("More settings", key="more_settings", expanded=any(is_set(field, draft) for field in rest)):
        draw(rest, draft, config)
    st.session_state[DRAFT] = config
    return {field.name: config[field.name] for field in fields}


def is_set(field: FormField, draft: Mapping[str, Any]) -> bool:
    """Whether the draft differs from the default."""
    return bool(starting_value(field, draft) != field.default)


def draw(fields: Sequence[FormField], draft: Mapping[str, Any], config: dict[str, Any]) -> None:
    """Two widgets in a row; their values go into `config`."""
    for start in range(0, len(fields), 2):
        for column, field in zip(st.columns(2), fields[start : start + 2], strict=False):
            with column:
                empty = "all" if field.name == "num_questions" else "automatic"
                config[field.name] = config_widget(field, starting_value(field, draft), empty=empty)


def idempotency_key(config: Mapping[str, Any], note: str) -> str:
    """One key per filled form: the same form sent twice makes one run, a changed form gets another key."""
    form = json.dumps([config, note], sort_keys=True)
    if st.session_state.get(KEY, ("", ""))[0] != form:
        st.session_state[KEY] = (form, uuid4().hex)
    key: str = st.session_state[KEY][1]
    return key


def why_not(reply: PreflightReply | None) -> str:
    """Why the button is off; empty if it is on."""
    if reply is None:
        return "The check did not answer."
    if not reply.ok:
        number = len(reply.problems)
        return f"Solve the problem{'' if number == 1 else f's ({number})'} above first."
    return ""


def check(config: dict[str, Any], presets: Sequence[PresetOut]) -> PreflightReply | None:
    """The preflight with its panel; None where the backend refuses to check."""
    try:
        reply = api.client().preflight(config)
        workers = api.client().workers().items
    except ApiError as error:
        api.show_error(error)
        return None
    preflight_panel(reply, config, workers, presets)
    return reply


st.title("Launch a run", anchor=False)
st.write("Answer questions with a model and score the answers.")
with api.page_errors():
    all_presets = api.presets()
    all_fields = form_fields(api.client().schema(STAGE))
form_column, check_column = st.columns([3, 2], gap="large")
with form_column, st.container(key="launch_form"):
    filled = fill_in(all_fields, all_presets)
    typed_note = st.text_input(
        "Note",
        key=NOTE,
        max_chars=200,
        placeholder="a few words to find the run again",
        persist_state="session",
    )
with check_column, st.container(border=True, key="preflight"):
    st.subheader("Before the launch", anchor=False)
    with api.page_errors():
        checked = check(filled, all_presets)
    reason = why_not(checked)
    key = idempotency_key(filled, typed_note or "")
    if reason:
        st.caption(reason)
    if st.button(
        "Launch", key="launch", type="primary", icon=":material/rocket_launch:", disabled=bool(reason),
        width="stretch",
    ):  # fmt: skip
        with api.page_errors():
            new_run = api.client().submit(filled, note=typed_note or "", key=key)
        del st.session_state[KEY]
        st.switch_page("app_pages/run.py", query_params={"run": str(new_run.id)})
