"""The sidebar: is the service well, and the way out."""

import streamlit as st

from backend.api.client import ApiError, Unreachable
from backend.api.schemas import HealthOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.text import size

_LATE_RECONCILER_SECONDS = 30.0
_LITTLE_DISK_BYTES = 5 * 2**30
_ASK_SECONDS = 15  # pages that need the backend say at once that it is away
# a form of this page's own: a link could be put on any other site, and Streamlit's buttons can't send one
_LOG_OUT = (
    '<form method="post" action="/logout"><button type="submit" id="log-out" style="background: none; border: 0; '
    'padding: 0; font: inherit; color: inherit; cursor: pointer; text-decoration: underline">Log out</button></form>'
)


def sidebar() -> None:
    """Health of the backend, asked again now and then, and the button that logs out."""
    _health()
    st.html(_LOG_OUT)


@st.fragment(run_every=_ASK_SECONDS)
def _health() -> None:
    with st.container(key="health", gap="xsmall"):
        try:
            health = api.client().health()
        except Unreachable:
            st.badge("backend not reachable", color="red", icon=":material/cloud_off:")
            return
        except ApiError as error:
            st.badge("backend refuses", color="red", icon=":material/error:")
            st.caption(api.problem_text(error.problem))
            return
        api.heard_of(health)
        troubles = health_troubles(health)
        if health.status == "ok":
            st.badge("backend ok", color="green", icon=":material/check_circle:")
        else:
            st.badge("backend degraded", color="orange", icon=":material/warning:")
        for trouble in troubles:
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
