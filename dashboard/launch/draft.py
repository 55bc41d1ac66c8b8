"""What was typed on the launch page: it outlives a visit to another page, and is sent once."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import streamlit as st

from dashboard.launch.site_choice import start_at
from dashboard.launch.stage_fields import dependent_defaults
from memgen.contract.pipeline import SHARED, STEPS, PipelineSpec

DRAFTS, KEY, NOTE = "launch_drafts", "launch_idempotency", "launch_note"
SHARED_DRAFT, EVALUATIONS, ALL_STEPS, CHOICES = "shared", "evaluations", "all_steps", "choices"
NEW_RUN, LEFT_OUT = "new", "out"


def draft(name: str) -> dict[str, Any]:
    """A draft by its name: that of a form, or one of the names above."""
    drafts: dict[str, dict[str, Any]] = st.session_state.setdefault(DRAFTS, {})
    return drafts.setdefault(name, {})


def keep(name: str, values: Mapping[Any, Any]) -> None:
    """Put a draft in the place of the last one."""
    st.session_state.setdefault(DRAFTS, {})[name] = dict(values)


def keep_config(form: str, config: Mapping[str, Any]) -> None:
    """Keep a single run's config: what all steps share for whatever is launched next.

    What has another default because of a choice in this form, e.g. the longest prompt with worked examples, stays with
    the form.
    """
    shared = set(SHARED) - set(dependent_defaults(config["stage"], config))
    keep(SHARED_DRAFT, draft(SHARED_DRAFT) | {name: value for name, value in config.items() if name in shared})
    keep(form, {name: value for name, value in config.items() if name not in shared})


def keep_spec(spec: PipelineSpec) -> None:
    """Keep a pipeline's settings as the draft of *Run all*, and let the form be drawn anew."""
    keep(SHARED_DRAFT, spec.shared)
    keep(EVALUATIONS, spec.evaluations)
    keep(ALL_STEPS, spec.steps)
    run = set(spec.to_run)
    choices: dict[str, str] = {name: NEW_RUN if name in run else LEFT_OUT for name in STEPS}
    keep(CHOICES, {**choices, **{name: str(run_id) for name, run_id in spec.reuse.items()}})
    st.session_state[NOTE] = spec.note
    start_at(spec.site)
    forget_widgets()


def forget_widgets() -> None:
    """Let every widget of the forms start from its draft again."""
    groups = tuple(f"{group}_" for group in ("config", EVALUATIONS, *STEPS))
    for key in [key for key in st.session_state if str(key).startswith(groups)]:
        del st.session_state[key]


def idempotency_key(form: str) -> str:
    """One key per filled form: the same form sent twice makes one run, a changed form gets another key."""
    if st.session_state.get(KEY, ("", ""))[0] != form:
        st.session_state[KEY] = (form, uuid4().hex)
    key: str = st.session_state[KEY][1]
    return key
