"""What the evaluations of a pipeline have measured so far, and which of its settings are not the defaults."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import PipelineOut, PipelineStepOut
from dashboard.parts.components import STATUS_LOOK
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import mark, t
from dashboard.parts.text import MISSING, count, percent
from dashboard.parts.verdicts import change_words
from memgen.contract.intervals import wilson
from memgen.contract.pipeline import BASE_STEP, STEPS
from memgen.contract.stages import stage_named, trains
from memgen.contract.status import RUN_ENDED
from memgen.contract.titles import title_of


def result_table(pipeline: PipelineOut) -> None:
    """Each evaluation with accuracy, interval, and change against the base with its verdict."""
    with st.container(key="results"):
        st.subheader(t("Results"), anchor=False)
        st.table(results_frame(pipeline), hide_index=True, border="horizontal", alt=t("Accuracy of each evaluation"))
    frame = settings_frame(pipeline.spec)
    with st.expander(t("Settings that differ from the defaults ({n})", n=len(frame)), key="pipeline_settings"):
        if frame.empty:
            st.caption(t("All settings are the defaults."))
        else:
            st.table(frame, hide_index=True, border="horizontal", alt=t("Settings that differ from the defaults"))


RESULT_COLUMNS = (
    mark("Setting"), mark("Accuracy"), mark("95 % interval"), mark("Questions"), mark("Change against the base"),
)  # fmt: skip


def results_frame(pipeline: PipelineOut) -> pd.DataFrame:
    """One row per evaluation of the pipeline; texts are markdown."""
    rows = [_row(one) for one in pipeline.steps if not trains(STEPS[one.step].stage)]
    return pd.DataFrame(rows, columns=[t(name) for name in RESULT_COLUMNS])


def _row(one: PipelineStepOut) -> list[str]:
    if one.run is None:
        return [escape_markdown(t(one.label)), MISSING, MISSING, MISSING, t("its run was deleted")]
    summary, setting = one.run.summary, escape_markdown(one.run.label)
    if "accuracy" not in summary:
        colour, icon = STATUS_LOOK[one.run.status.value]
        word = f":{colour}-badge[:material/{icon}: {t(one.run.status.value)}]"
        return [setting, MISSING, MISSING, MISSING, word]
    accuracy, number = summary["accuracy"], summary.get("num_questions", 0)
    low, high = wilson(accuracy, number)
    so_far = "" if one.run.status in RUN_ENDED else t("so far")
    return [
        setting,
        " ".join(filter(None, [f"**{percent(accuracy)}**", escape_markdown(one.run.scorer_mark), so_far])),
        t("{low} to {high}", low=f"{low * 100:.1f}", high=f"{high * 100:.1f}"),
        count(number),
        _change(one, is_over=not so_far),
    ]


def _change(one: PipelineStepOut, *, is_over: bool) -> str:
    if one.gain is not None:
        return change_words(one.gain)
    if one.step == BASE_STEP:
        return t("the base")
    return t("it can't be compared with the base") if is_over else t("once it has ended")


def settings_frame(spec: Mapping[str, Any]) -> pd.DataFrame:
    """Where a setting was changed, what it is called, its value, and the default; plain texts."""
    places: list[tuple[str, str, Mapping[str, Any]]] = [
        (t("All steps"), STEPS[BASE_STEP].stage, spec.get("shared", {})),
        (t("Evaluations"), STEPS[BASE_STEP].stage, spec.get("evaluations", {})),
    ]
    places += [
        (t(step.label), step.stage, spec["steps"][name])
        for name, step in STEPS.items()
        if name in spec.get("steps", {})
    ]
    rows = []
    for place, stage, fields in places:
        known = stage_named(stage).config.model_fields
        for name, value in fields.items():
            default = known[name].default if name in known else None
            if value != default:
                rows.append([place, t(title_of(name)), _shown(value), _shown(default)])
    return pd.DataFrame(rows, columns=[t("Where"), t("Setting"), t("Value"), t("Default")])


def _shown(value: Any) -> str:
    if value is None:
        return t("empty")
    if isinstance(value, bool):
        return t("on") if value else t("off")
    return escape_markdown(one_line(f"{value:g}" if isinstance(value, float) else str(value)))
