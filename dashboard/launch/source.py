"""What the form of a single run starts from: an earlier run, or settings that were kept under a name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import streamlit as st

from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import mark, t
from memgen.contract.pipeline import StepName

SOURCE, ALL_FORM = "launch_source", "all"


@dataclass(frozen=True)
class Source:
    """An earlier run, or kept settings."""

    form: str
    words: str
    """`run 12`, or the name of the settings."""
    config: Mapping[str, Any]
    run_id: int | None = None
    failure: str = ""
    """Why the run failed, where the form is to mend it."""
    blamed: Mapping[str, str] = dataclass_field(default_factory=dict)
    """What that says of fields, by their names."""
    step: StepName | None = None
    """The step that failed, where a pipeline is mended."""
    pipeline_id: int | None = None
    """That pipeline."""

    @property
    def mended_run(self) -> int | None:
        """The failed run that a single run of this form mends."""
        return self.run_id if self.failure else None


def start_from(source: Source) -> None:
    """Measure the form against this from now on."""
    st.session_state[SOURCE] = source


def forget_start() -> None:
    """Measure the form against the defaults from now on."""
    st.session_state.pop(SOURCE, None)


def source_of(form: str) -> Source | None:
    """What this form starts from; None for the defaults."""
    source: Source | None = st.session_state.get(SOURCE)
    return source if source is not None and source.form == form else None


def show_source(source: Source, differences: Sequence[tuple[str, str, str]]) -> None:
    """Where the settings come from, and how those of the form differ from them."""
    with st.container(border=True, gap="xsmall"):
        if source.failure:
            _what_is_mended(source)
        else:
            words = (
                mark("Starts from the settings of **{name}**.")
                if source.run_id is not None
                else mark("Starts from the saved settings **{name}**.")
            )
            st.markdown(f":material/replay: {t(words, name=escape_markdown(source.words))}")
        for label, before, now in differences:
            st.markdown(f"- {escape_markdown(label)}: {escape_markdown(before)} → **{escape_markdown(now)}**")
        if not differences:
            st.caption(t("Nothing differs from them yet."))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if source.run_id is not None:
                st.page_link(
                    "app_pages/run.py",
                    label=t("Run {number}", number=source.run_id),
                    query_params={"run": str(source.run_id)},
                )
            st.button(
                t("Show what differs from the defaults instead"), key="forget_source", type="tertiary",
                on_click=forget_start,
            )  # fmt: skip


def show_mended_pipeline(source: Source) -> None:
    """Which pipeline the form mends, and what becomes of its steps."""
    with st.container(border=True, gap="xsmall"):
        _what_is_mended(source)
        st.caption(
            t(
                "Its finished steps are reused, and the others run anew in a new pipeline. Where you change what all "
                "steps share, choose *New run* for the finished ones, too: answers under other conditions can't be "
                "compared."
            )
        )
        st.button(
            t("Launch a pipeline of its own instead"), key="forget_source", type="tertiary", on_click=forget_start
        )


def _what_is_mended(source: Source) -> None:
    mended = t(
        "**Mends {what}**, which failed: {reason}", what=escape_markdown(source.words), reason=sentence(source.failure)
    )
    st.markdown(f":material/build: {mended}")
    st.caption(
        t(
            "It starts from its beginning and remembers which run it mends. A run goes on exactly only with the "
            "settings that it began with, so nothing of the failed one is taken over."
        )
    )
