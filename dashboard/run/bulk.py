"""What can be done with the ticked runs of the list, or with all that match: compare, draw, tag, stop, delete."""

from collections.abc import Callable, Sequence

import streamlit as st

from backend.api.schemas import RunOut
from dashboard.parts.bulk_dialogs import Asked, What, ask, buttons_for_all, choose_all
from dashboard.parts.curves_view import MOST_RUNS
from dashboard.parts.language import mark, t
from dashboard.parts.rows_table import MOST_COMPARED
from memgen.contract.stages import trains
from memgen.contract.status import RUN_ENDED, RUN_UNDER_WAY, RunStatus


def bulk_bar(runs: Sequence[RunOut], total: int, shown: int, all_numbers: Callable[[], list[int]], name: str) -> None:
    """The buttons that fit the ticked runs.

    Args:
        runs: that are ticked.
        total: how many match the filters.
        shown: how many are on this page.
        all_numbers: asks which match.
        name: of the filters; with others everything is no longer chosen.
    """
    if choose_all(total, shown, name):
        buttons_for_all(lambda what: Asked(what, tuple(all_numbers()), under_way=True))
        return
    st.caption(
        t("**{n} selected**", n=len(runs))
        if runs
        else t("Tick rows to compare, draw, tag, archive, stop or delete them."),
        width="content",
    )
    if runs:
        _compare(runs)
        _curves(runs)
        _for_ticked(runs)


def _compare(runs: Sequence[RunOut]) -> None:
    finished = [run.id for run in runs if run.status is RunStatus.SUCCEEDED and not trains(run.stage)]
    if st.button(
        t("Compare {n}", n=len(finished)) if finished else t("Compare"),
        key="bulk_compare",
        icon=":material/compare_arrows:",
        disabled=not 2 <= len(finished) <= MOST_COMPARED,
        help=t("Finished evaluations, 2 to {most} of them.", most=MOST_COMPARED),
    ):
        st.switch_page("app_pages/compare.py", query_params={"runs": ",".join(map(str, sorted(finished)))})


def _curves(runs: Sequence[RunOut]) -> None:
    if st.button(
        t("Curves of {n}", n=len(runs)),
        key="bulk_curves",
        icon=":material/show_chart:",
        disabled=len(runs) > MOST_RUNS,
        help=t("One metric of all of them on one chart, of at most {most} runs.", most=MOST_RUNS),
    ):
        query = {"runs": ",".join(str(run.id) for run in sorted(runs, key=lambda run: run.id))}
        st.switch_page("app_pages/curves.py", query_params=query)


def _for_ticked(runs: Sequence[RunOut]) -> None:
    numbers = tuple(run.id for run in runs)
    under_way = any(run.status in RUN_UNDER_WAY for run in runs)
    live = sum(run.status not in RUN_ENDED for run in runs)
    ended, archived = len(runs) - live, sum(run.archived for run in runs)

    def button(what: What, label: str, with_number: str, icon: str, number: int) -> None:
        if st.button(
            t(with_number, n=number) if number else t(label),
            key=f"bulk_{what}",
            icon=f":material/{icon}:",
            disabled=not number,
        ):
            ask(Asked(what, numbers, under_way=under_way))

    button("tag", mark("Tag"), mark("Tag {n}"), "sell", len(runs))
    if archived:
        button("take_out", mark("Take out of the archive"), mark("Take out of the archive: {n}"), "unarchive", archived)
    if archived < len(runs):
        button("archive", mark("Archive"), mark("Archive {n}"), "archive", ended - archived)
    button("stop", mark("Stop"), mark("Stop {n}"), "stop", live)
    button("delete", mark("Delete"), mark("Delete {n}"), "delete", ended)
