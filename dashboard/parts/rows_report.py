"""What is right and wrong with a user's rows, as pages show it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line, sentence, visible
from dashboard.parts.language import mark, t
from memgen.contract.data_sets.report import Report, Sample

SPLITS = {"train": mark("Train"), "validation": mark("Validation"), "test": mark("Test")}


def first_rows(report: Report) -> None:
    """The first rows of the first file, as they stand in it."""
    rows = [{one_line(name): one_line(value) for name, value in row.items()} for row in report.first_rows]
    st.dataframe(pd.DataFrame(rows, columns=[one_line(name) for name in report.columns]), hide_index=True)


def show_report(report: Report) -> None:
    """Figures, then problems with their rows, warnings, and rows as a model sees them."""
    for column, (split, word) in zip(st.columns(4), (("", mark("Rows")), *SPLITS.items()), strict=True):
        size = report.rows if not split else next((n for name, n in report.sizes.items() if name == split), 0)
        drawn = t("Drawn by the seed.") if split in report.drawn else None
        column.metric(t(word), f"{size:,}", help=drawn)
    for problem in report.problems:
        st.error(api.item_text(problem), icon=":material/error:")
    _listed(mark("Rows that can't be used: {n}"), report.num_bad_rows, report.bad_rows)
    _listed(mark("Questions that stand more than once: {n}"), report.num_duplicates, report.duplicates)
    _listed(mark("Questions that stand in two splits: {n}"), report.num_leaks, report.leaks)
    for warning in report.warnings:
        st.warning(sentence(warning), icon=":material/warning:")
    if report.longest is not None:
        prompt, solution = report.longest
        st.caption(
            t(
                "About {prompt} tokens in the longest prompt and {solution} in the longest solution.",
                prompt=f"{prompt:,}",
                solution=f"{solution:,}",
            )
        )
    for number, sample in enumerate(report.samples[:4]):
        _sample(sample, opened=number == 0)


def _listed(title: str, number: int, items: Sequence[object]) -> None:
    if not number:
        return
    with st.expander(t(title, n=f"{number:,}"), expanded=True):
        st.code("\n".join(one_line(str(item)) for item in items), language=None, wrap_lines=True)
        if number > len(items):
            st.caption(t("{n} more follow.", n=f"{number - len(items):,}"))


def _sample(sample: Sample, *, opened: bool) -> None:
    words = mark("{row}: its gold answer scores 1") if sample.score else mark("{row}: its gold answer scores 0")
    with st.expander(t(words, row=escape_markdown(str(sample.place))), expanded=opened):
        st.caption(t("Prompt, as it is rendered"))
        st.code(visible(sample.prompt), language=None, wrap_lines=True)
        st.caption(t("Solution, which a weaver learns to write"))
        st.code(visible(sample.solution), language=None, wrap_lines=True)
        found = t("no answer") if sample.answer is None else escape_markdown(sample.answer)
        st.markdown(t("The scorer finds **{found}** in it.", found=found))
