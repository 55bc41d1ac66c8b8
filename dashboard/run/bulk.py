"""What can be done with the ticked runs of the list, or with all that match: compare, draw, tag, stop, delete."""

from collections.abc import Callable, Sequence

import streamlit as st

from backend.api.schemas import RunOut
from dashboard.parts import api
from dashboard.parts.bulk_dialogs import Asked, What, ask
from dashboard.parts.curves_view import MOST_RUNS
from dashboard.parts.rows_table import MOST_COMPARED
from memgen.contract.stages import trains
from memgen.contract.status import RUN_ENDED, RUN_UNDER_WAY, RunStatus

ALL = "bulk_all"


def bulk_bar(runs: Sequence[RunOut], total: int, shown: int, all_numbers: Callable[[], list[int]], name: str) -> None:
    """The buttons that fit the ticked runs.

    Args:
        runs: that are ticked.
        total: how many match the filters.
        shown: how many are on this page.
        all_numbers: asks which match.
        name: of the filters; with others everything is no longer chosen.
    """
    everything = total > shown and st.checkbox(f"All {total:,} that match", key=f"{ALL}_{name}")
    if everything:
        _for_all(all_numbers)
        return
    st.caption(
        f"**{len(runs)} selected**" if runs else "Tick rows to compare, draw, tag, archive, stop or delete them.",
        width="content",
    )
    if runs:
        _compare(runs)
        _curves(runs)
        _for_ticked(runs)


def _compare(runs: Sequence[RunOut]) -> None:
    finished = [run.id for run in runs if run.status is RunStatus.SUCCEEDED and not trains(run.stage)]
    if st.button(
        f"Compare {len(finished)}" if finished else "Compare",
        key="bulk_compare",
        icon=":material/compare_arrows:",
        disabled=not 2 <= len(finished) <= MOST_COMPARED,
        help=f"Finished evaluations, 2 to {MOST_COMPARED} of them.",
    ):
        st.switch_page("app_pages/compare.py", query_params={"runs": ",".join(map(str, sorted(finished)))})


def _curves(runs: Sequence[RunOut]) -> None:
    if st.button(
        f"Curves of {len(runs)}",
        key="bulk_curves",
        icon=":material/show_chart:",
        disabled=len(runs) > MOST_RUNS,
        help=f"One metric of all of them on one chart, of at most {MOST_RUNS} runs.",
    ):
        query = {"runs": ",".join(str(run.id) for run in sorted(runs, key=lambda run: run.id))}
        st.switch_page("app_pages/curves.py", query_params=query)


def _for_ticked(runs: Sequence[RunOut]) -> None:
    numbers = tuple(run.id for run in runs)
    under_way = any(run.status in RUN_UNDER_WAY for run in runs)
    live = sum(run.status not in RUN_ENDED for run in runs)
    ended, archived = len(runs) - live, sum(run.archived for run in runs)

    def button(what: What, label: str, icon: str, number: int) -> None:
        if st.button(
            f"{label} {number}" if number else label, key=f"bulk_{what}", icon=f":material/{icon}:", disabled=not number
        ):
            ask(Asked(what, numbers, under_way=under_way))

    button("tag", "Tag", "sell", len(runs))
    if archived:
        button("take_out", "Take out of the archive:", "unarchive", archived)
    if archived < len(runs):
        button("archive", "Archive", "archive", ended - archived)
    button("stop", "Stop", "stop", live)
    button("delete", "Delete", "delete", ended)


def _for_all(all_numbers: Callable[[], list[int]]) -> None:
    """The buttons for everything that matches: which runs that are is asked when one is pressed."""
    buttons: tuple[tuple[What, str, str], ...] = (
        ("tag", "Tag all", "sell"), ("archive", "Archive all", "archive"),
        ("take_out", "Take all out of the archive", "unarchive"), ("stop", "Stop all", "stop"),
        ("delete", "Delete all", "delete"),
    )  # fmt: skip
    for what, label, icon in buttons:
        if st.button(label, key=f"bulk_{what}", icon=f":material/{icon}:"):
            with api.part_errors():
                ask(Asked(what, tuple(all_numbers()), under_way=True))
