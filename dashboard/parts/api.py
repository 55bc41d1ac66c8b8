"""The way to the backend: one client for all browser sessions, and its errors as text on the page."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import streamlit as st

from backend.api.client import API, ApiError, Client, Unreachable
from backend.api.schemas import (
    DataSetList,
    HealthOut,
    ListPage,
    PresetOut,
    ProblemReply,
    SavedLaunch,
    SavedView,
    SiteOut,
    TagOut,
)
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import t
from dashboard.settings import Settings
from memgen.contract.problem import Problem

T = TypeVar("T")
RETRY_SECONDS = 3
KEPT_SECONDS = 60
SERVER_FAULT = 500  # the lowest HTTP status of an error that is not the request's
VERSION = "backend_version"
ROUTES = f"{API}/"


@st.cache_resource(show_spinner=False)
def client() -> Client:
    """The client; it holds the token, connections are shared by threads."""
    settings = Settings.read()
    return Client(settings.backend_url, settings.read_token(), timeout=10.0)


def heard_of(health: HealthOut) -> None:
    """Remember which version answers: what another one said of itself is asked anew."""
    st.session_state[VERSION] = health.version


def presets() -> list[PresetOut]:
    """Models that can be launched, asked anew after a minute."""
    return _presets(*_backend())


def data_sets() -> DataSetList:
    """Data sets that runs can use, asked anew after a minute."""
    return _data_sets(*_backend())


def forget_data_sets() -> None:
    """Ask anew which data sets there are: one has come or gone."""
    _data_sets.clear()
    _schema.clear()


def sites() -> list[SiteOut]:
    """Where runs may go beside the workers of the service, asked anew after a minute."""
    return _sites(*_backend())


def saved_launches() -> list[SavedLaunch]:
    """Settings that are kept under a name, asked anew after a minute."""
    return _saved_launches(*_backend())


def forget_saved_launches() -> None:
    """Ask anew which settings are kept: some have come or gone."""
    _saved_launches.clear()


def tags() -> list[TagOut]:
    """Tags in use, asked anew after a minute."""
    return _tags(*_backend())


def forget_tags() -> None:
    """Ask anew which tags are in use: some have come or gone."""
    _tags.clear()


def saved_views(page: ListPage) -> list[SavedView]:
    """Views of a list, asked anew after a minute."""
    return [view for view in _saved_views(*_backend()) if view.page == page]


def forget_saved_views() -> None:
    """Ask anew which views are kept: some have come or gone."""
    _saved_views.clear()


def schema(stage: str) -> dict[str, Any]:
    """JSON schema of a stage's config, asked anew after a minute."""
    return _schema(*_backend(), stage)


def _backend() -> tuple[str, str]:
    """Address and version of the backend: the key of what is kept of its replies."""
    return client().url, st.session_state.get(VERSION, "")


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def _presets(url: str, version: str) -> list[PresetOut]:  # noqa: ARG001 (the key of the cache)
    return client().presets()


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def _data_sets(url: str, version: str) -> DataSetList:  # noqa: ARG001
    return client().data_sets()


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def _sites(url: str, version: str) -> list[SiteOut]:  # noqa: ARG001
    return client().sites()


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def _saved_launches(url: str, version: str) -> list[SavedLaunch]:  # noqa: ARG001
    return client().saved_launches()


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def _tags(url: str, version: str) -> list[TagOut]:  # noqa: ARG001
    return client().tags()


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def _saved_views(url: str, version: str) -> list[SavedView]:  # noqa: ARG001
    return client().saved_views()


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def _schema(url: str, version: str, stage: str) -> dict[str, Any]:  # noqa: ARG001
    return client().schema(stage)


def once(loaded: list[T], load: Callable[[], T]) -> T:
    """What the page has just loaded, for the first drawing of a live part; afterwards the part loads it itself."""
    return loaded.pop() if loaded else load()


@contextmanager
def page_errors() -> Iterator[None]:
    """For what a page can't do without: an error is shown and the page ends there.

    Where the backend could not answer the page comes back by itself.
    """
    try:
        yield
    except (Unreachable, ApiError) as error:
        show_passing_error(error)
        st.stop()


def show_passing_error(error: Unreachable | ApiError) -> None:
    """Show an error; where the fault is the backend's and may pass, the whole page is drawn again after a while."""
    show_error(error)
    if isinstance(error, Unreachable) or error.problem.status >= SERVER_FAULT:
        _come_back(time.monotonic())


@contextmanager
def part_errors() -> Iterator[None]:
    """For a part of a page: an error is shown in its place, the rest goes on.

    A live part asks again with its next round, so it needs nothing to come back.
    """
    try:
        yield
    except (Unreachable, ApiError) as error:
        show_error(error)


def attempt(action: Callable[[], object]) -> bool:
    """Do what a button stands for; False, with the error on the page, where the backend refused."""
    try:
        action()
    except (Unreachable, ApiError) as error:
        show_error(error)
        return False
    return True


def show_error(error: Exception) -> bool:
    """Show an error of the API as text; False if it is another kind of error."""
    if isinstance(error, Unreachable):
        st.warning(
            t(
                "**The backend does not answer.** `{address}` could not be reached. Is it running? `make "
                "up` starts it. This page goes on by itself once it is back; running runs are not "
                "touched.",
                address=error.url,
            ),
            icon=":material/cloud_off:",
        )
        return True
    if isinstance(error, ApiError):
        st.error(problem_text(error.problem), icon=":material/error:")
        return True
    return False


def problem_text(problem: ProblemReply) -> str:
    """Title, every field with its value, and the way out, as markdown."""
    lines = [f"**{sentence(problem.message)}**"]
    if problem.errors:
        lines += [f"- {item_text(item)}" for item in problem.errors]
    elif problem.field:
        lines.append(item_text(problem.model_copy(update={"message": ""})))
    elif way_out := _way_out(problem):
        lines.append(sentence(way_out))
    return "\n\n".join(lines[:1]) + ("\n\n" + "\n".join(lines[1:]) if lines[1:] else "")


def item_text(problem: Problem) -> str:
    """One problem as a line of markdown: field, value, message, way out."""
    parts = []
    if problem.field:
        value = f" = {escape_markdown(problem.value)}" if problem.value else ""
        parts.append(f"**{escape_markdown(problem.field)}**{value}:")
    if problem.message:
        parts.append(sentence(problem.in_sentences().message))
    if way_out := _way_out(problem):
        parts.append(sentence(way_out))
    return " ".join(parts)


def _way_out(problem: Problem) -> str:
    """The way out of somebody at a browser: a route of the API is none."""
    return "" if ROUTES in problem.way_out else problem.way_out


@st.fragment(run_every=RETRY_SECONDS)
def _come_back(drawn: float) -> None:
    if time.monotonic() - drawn < RETRY_SECONDS / 2:
        return  # drawn just now: where only some requests fail, the page would be drawn again without a pause
    try:
        client().health()
    except (Unreachable, ApiError):
        return
    st.rerun(scope="app")
