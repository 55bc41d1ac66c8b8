"""What can be done with the ticked runs of the list: compare, draw, stop, delete, after a look at what happens."""

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import uuid4

import streamlit as st

from backend.api.schemas import BulkOut, RunOut
from dashboard.parts import api
from dashboard.parts.curves_view import MOST_RUNS
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.rows_table import MOST_COMPARED
from dashboard.parts.run_actions import LEFT_BEHIND, choose_stop_mode
from dashboard.parts.text import size
from memgen.contract.stages import trains
from memgen.contract.status import RUN_ENDED, RUN_UNDER_WAY, RunStatus, StopMode

What = Literal["stop", "delete"]
ASKED, KEY, DONE = "bulk_asked", "bulk_key", "bulk_done"
MOST_NAMED = 30  # numbers of runs in a sentence


def bulk_bar(runs: Sequence[RunOut]) -> None:
    """The buttons that fit the ticked runs."""
    st.caption(
        f"**{len(runs)} selected**" if runs else "Tick rows to compare, draw, stop or delete them.", width="content"
    )
    if not runs:
        return
    finished = [run.id for run in runs if run.status is RunStatus.SUCCEEDED and not trains(run.stage)]
    if st.button(
        f"Compare {len(finished)}" if finished else "Compare",
        key="bulk_compare",
        icon=":material/compare_arrows:",
        disabled=not 2 <= len(finished) <= MOST_COMPARED,
        help=f"Finished evaluations, 2 to {MOST_COMPARED} of them.",
    ):
        st.switch_page("app_pages/compare.py", query_params={"runs": ",".join(map(str, sorted(finished)))})
    if st.button(
        f"Curves of {len(runs)}",
        key="bulk_curves",
        icon=":material/show_chart:",
        disabled=len(runs) > MOST_RUNS,
        help=f"One metric of all of them on one chart, of at most {MOST_RUNS} runs.",
    ):
        query = {"runs": ",".join(str(run.id) for run in sorted(runs, key=lambda run: run.id))}
        st.switch_page("app_pages/curves.py", query_params=query)
    live = sum(run.status not in RUN_ENDED for run in runs)
    _button("stop", f"Stop {live}" if live else "Stop", "stop", runs, disabled=not live)
    ended = len(runs) - live
    _button("delete", f"Delete {ended}" if ended else "Delete", "delete", runs, disabled=not ended)


def _button(what: What, label: str, icon: str, runs: Sequence[RunOut], *, disabled: bool) -> None:
    if st.button(label, key=f"bulk_{what}", icon=f":material/{icon}:", disabled=disabled):
        st.session_state[ASKED] = (what, {run.id: run.status for run in runs})
        st.session_state[KEY] = uuid4().hex  # a confirmation that is sent twice is done once
        st.rerun(scope="app")


def bulk_dialog() -> None:
    """On the page itself: the dialog of the button that was pressed, until it is closed; what was done is said once."""
    if done := st.session_state.pop(DONE, None):
        st.toast(done, icon=":material/check:")
    asked: tuple[What, dict[int, RunStatus]] | None = st.session_state.get(ASKED)
    if asked is not None:
        what, statuses = asked
        (_stop_dialog if what == "stop" else _delete_dialog)(statuses)


def _forget() -> None:
    st.session_state.pop(ASKED, None)


@st.dialog("Stop these runs?", width="medium", on_dismiss=_forget)
def _stop_dialog(statuses: Mapping[int, RunStatus]) -> None:
    mode: StopMode = StopMode.SAVE
    if any(status in RUN_UNDER_WAY for status in statuses.values()):
        mode = choose_stop_mode()
    with api.part_errors():
        preview = api.client().stop_runs(list(statuses), mode)
        _show(preview)
        if _confirmed("stop", f"Stop {_runs(len(preview.done))}", possible=bool(preview.done)):
            reply = api.client().stop_runs(list(statuses), mode, confirm=True, key=st.session_state[KEY])
            _close(f"Stopping {_runs(len(reply.done))}.")


@st.dialog("Delete these runs?", width="medium", on_dismiss=_forget)
def _delete_dialog(statuses: Mapping[int, RunStatus]) -> None:
    with api.part_errors():
        preview = api.client().delete_runs(list(statuses))
        _show(preview)
        if preview.done:
            st.write(f"{size(preview.size_bytes)} of answers, checkpoints, metrics and logs go for good.")
        if _confirmed("delete", f"Delete {_runs(len(preview.done))} for good", possible=bool(preview.done)):
            reply = api.client().delete_runs(list(statuses), confirm=True, key=st.session_state[KEY])
            st.session_state[LEFT_BEHIND] = reply.left
            _close(f"{_runs(len(reply.done))} deleted.")


def _show(preview: BulkOut) -> None:
    """How many runs share an outcome and which they are; those that stay as they are, each with its reason."""
    outcomes: dict[str, list[int]] = {}
    for item in preview.items:
        if item.problem is None:
            outcomes.setdefault(item.outcome, []).append(item.run_id)
    lines = [f"- **{_each(len(ids))}** {escape_markdown(words)}: {_named(ids)}" for words, ids in outcomes.items()]
    lines += [f"- {sentence(one)}" for one in preview.also]
    st.markdown("\n".join(lines) or "Nothing can be done with these runs.")
    if preview.refused:
        with st.expander(f"{_runs(len(preview.refused))} stay as they are", key="bulk_refused", expanded=not lines):
            st.markdown(
                "\n".join(
                    f"- run {item.run_id}: {sentence(item.problem.message)}" for item in preview.refused if item.problem
                )
            )


def _confirmed(what: What, label: str, *, possible: bool) -> bool:
    with st.container(horizontal=True):
        confirmed = st.button(label, key=f"confirm_bulk_{what}", type="primary", disabled=not possible)
        if st.button("Change nothing", key=f"cancel_bulk_{what}"):
            _forget()
            st.rerun()
    return confirmed


def _close(said: str) -> None:
    _forget()
    st.session_state[DONE] = said
    st.rerun()


def _runs(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"


def _each(number: int) -> str:
    return "1 run" if number == 1 else f"Each of {number} runs"


def _named(ids: Sequence[int]) -> str:
    more = len(ids) - MOST_NAMED
    return ", ".join(map(str, ids[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")
