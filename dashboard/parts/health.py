"""The sidebar: is the service well, and the way out."""

from html import escape
from typing import TypeAlias

import streamlit as st

from backend.api.client import ApiError, Unreachable
from backend.api.schemas import HealthOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import choose_language, plural, t
from dashboard.parts.text import size
from dashboard.parts.told import told

Answer: TypeAlias = HealthOut | Unreachable | ApiError
WELL = "ok"
RETRY_SECONDS = 5
_LATE_RECONCILER_SECONDS = 30.0
_LITTLE_DISK_BYTES = 5 * 2**30
# a form of this page's own: a link could be put on any other site, and Streamlit's buttons can't send one
_LOG_OUT = (
    '<form method="post" action="/logout"><button type="submit" id="log-out" style="background: none; border: 0; '
    'padding: 0; font: inherit; color: inherit; cursor: pointer; text-decoration: underline">LABEL</button></form>'
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
    choose_language()
    st.html(_LOG_OUT.replace("LABEL", escape(t("Log out"))))


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
            st.badge(t("backend not reachable"), color="red", icon=":material/cloud_off:")
        elif isinstance(answer, ApiError):
            st.badge(t("backend refuses"), color="red", icon=":material/error:")
            st.caption(api.problem_text(answer.problem))
        else:
            _draw_health(answer)


def _draw_health(health: HealthOut) -> None:
    if health.status == WELL:
        st.badge(t("backend ok"), color="green", icon=":material/check_circle:")
    else:
        st.badge(t("backend degraded"), color="orange", icon=":material/warning:")
    for trouble in health_troubles(health):
        st.caption(sentence(trouble))
    workers = plural("{n} worker alive", "{n} workers alive", health.workers_alive)
    free = t("{size} free", size=size(health.home_free_bytes))
    st.caption(f"{workers} · {free} · {t('version {number}', number=escape_markdown(health.version))}")


def health_troubles(health: HealthOut) -> list[str]:
    """What is wrong and what it means, one sentence each, plain text."""
    troubles = []
    if health.database != "ok":
        troubles.append(t("The database has a problem: {problem}.", problem=health.database))
    if health.broker != "ok":
        troubles.append(t("Redis can't be reached ({problem}): queued runs start late.", problem=health.broker))
    age = health.reconciler_age_seconds
    if age is None or age > _LATE_RECONCILER_SECONDS:
        troubles.append(
            t("The reconciler has not run yet: lost runs are not noticed.")
            if age is None
            else t("The reconciler last ran {seconds} s ago: lost runs are not noticed.", seconds=f"{age:.0f}")
        )
    if not health.workers_alive and not health.refusals:
        troubles.append(t("No worker is alive: runs wait until one is. `make up` starts one."))
    troubles += [
        t("Slot {slot} of {host} takes no work: {reason}", slot=one.slot, host=one.host, reason=told(str(one.reason)))
        for one in health.sick_slots
    ]
    troubles += [told(one.in_sentences().message) for one in health.refusals]
    if health.home_free_bytes < _LITTLE_DISK_BYTES:
        troubles.append(t("Only {size} are free on the disk.", size=size(health.home_free_bytes)))
    return troubles
