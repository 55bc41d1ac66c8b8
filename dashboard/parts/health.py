"""The sidebar: is the service well, and the way out."""

from typing import TypeAlias

import streamlit as st

from backend.api.client import ApiError, Unreachable
from backend.api.schemas import HealthOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.text import size

Answer: TypeAlias = HealthOut | Unreachable | ApiError
WELL = "ok"
RETRY_SECONDS = 5
_LATE_RECONCILER_SECONDS = 30.0
_LITTLE_DISK_BYTES = 5 * 2**30
# a form of this page's own: a link could be put on any other site, and Streamlit's buttons can't send one
_LOG_OUT = (
    '<form method="post" action="/logout"><button type="submit" id="log-out" style="background: none; border: 0; '
    'padding: 0; font: inherit; color: inherit; cursor: pointer; text-decoration: underline">Log out</button></form>'
)


def sidebar() -> None:
    """Health of the backend, asked with every drawing of a page, and the button that logs out.

    Only while something is wrong it is asked again every few seconds, so that the page notices the end of it.
    """
    answer = _ask()
    if isinstance(answer, HealthOut) and answer.status == WELL:
        _draw(answer)
    else:
        st.fragment(_watch, run_every=RETRY_SECONDS)([answer])
    st.html(_LOG_OUT)


def _ask() -> Answer:
    try:
        health = api.client().health()
    except (Unreachable, ApiError) as error:
        return error
    api.heard_of(health)
    return health


def _watch(asked: list[Answer]) -> None:
    answer = api.once(asked, _ask)
    if isinstance(answer, HealthOut) and answer.status == WELL:
        st.rerun(scope="app")
    _draw(answer)


def _draw(answer: Answer) -> None:
    with st.container(key="health", gap="xsmall"):
        if isinstance(answer, Unreachable):
            st.badge("backend not reachable", color="red", icon=":material/cloud_off:")
        elif isinstance(answer, ApiError):
            st.badge("backend refuses", color="red", icon=":material/error:")
            st.caption(api.problem_text(answer.problem))
        else:
            _draw_health(answer)


def _draw_health(health: HealthOut) -> None:
    if health.status == WELL:
        st.badge("backend ok", color="green", icon=":material/check_circle:")
    else:
        st.badge("backend degraded", color="orange", icon=":material/warning:")
    for trouble in health_troubles(health):
        st.caption(sentence(trouble))
    workers = f"{health.workers_alive} worker{'' if health.workers_alive == 1 else 's'} alive"
    st.caption(f"{workers} · {size(health.home_free_bytes)} free · version {escape_markdown(health.version)}")


def health_troubles(health: HealthOut) -> list[str]:
    """What is wrong and what it means, one sentence each, plain text."""
    troubles = []
    if health.database != "ok":
        troubles.append(f"The database has a problem: {health.database}.")
    if health.broker != "ok":
        troubles.append(f"Redis can't be reached ({health.broker}): queued runs start late.")
    age = health.reconciler_age_seconds
    if age is None or age > _LATE_RECONCILER_SECONDS:
        since = "has not run yet" if age is None else f"was last here {age:.0f} s ago"
        troubles.append(f"The reconciler {since}: lost runs are not noticed.")
    if not health.workers_alive:
        troubles.append("No worker is alive: runs wait until one is. `make up` starts one.")
    troubles += [f"Slot {one.slot} of {one.host} takes no work: {one.reason}" for one in health.sick_slots]
    if health.home_free_bytes < _LITTLE_DISK_BYTES:
        troubles.append(f"Only {size(health.home_free_bytes)} are free on the disk.")
    return troubles
