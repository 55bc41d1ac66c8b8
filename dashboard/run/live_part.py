"""A part of a run's page that moves with the run."""

from collections.abc import Callable

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import RunDetail
from dashboard.parts import api
from dashboard.run.live_run import REFRESH_SECONDS, LiveRun, live_run
from memgen.contract.status import RUN_ENDED

Draw = Callable[[RunDetail, LiveRun], None]
NOT_FOUND = 404


def live_part(run: RunDetail, draw: Draw) -> None:
    """Draw a part now, and again every few seconds until the run has ended.

    Args:
        run: as the page has loaded it.
        draw: is given the newest of it.
    """
    live = live_run(run.id)
    every = None if run.status in RUN_ENDED else REFRESH_SECONDS
    st.fragment(_part, run_every=every)(run.id, _look(run, live), draw)


def _part(run_id: int, look: tuple[object, ...], draw: Draw) -> None:
    live = live_run(run_id)
    with api.part_errors():
        try:
            run = live.detail()
        except ApiError as error:
            if error.problem.status != NOT_FOUND:
                raise
            st.rerun(scope="app")  # it was deleted: the page says so
        if _look(run, live) != look:
            st.rerun(scope="app")
        draw(run, live)


def _look(run: RunDetail, live: LiveRun) -> tuple[object, ...]:
    """What the parts that do not move by themselves follow: badge, buttons, note, and whether the backend is away."""
    return run.status, run.num_attempts, run.note, run.can_rescore, live.away is None
