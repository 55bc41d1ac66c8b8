"""One real application for all tests of the dashboard, emptied before each."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy import text
from sqlmodel import SQLModel

from backend.api.client import Client
from backend.services.gains import Gains
from backend.settings import Settings
from dashboard.parts import api
from tests.backend.conftest import NO_REDIS, Backend, make_backend
from tests.dashboard.studio import Studio, Wire

VARIABLES = ("MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "MEMGEN_GSM8K_DIR", "REDIS_URL", "MEMGEN_PRESETS")
CONFIG: dict[str, object] = {"stage": "evaluate", "num_questions": 20}


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """One event loop for the requests of all tests."""
    with start_blocking_portal() as running:
        yield running


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory, portal: BlockingPortal) -> Iterator[Backend]:
    """A backend with the presets that everybody has, and nothing else of this machine's settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        backend = make_backend(Settings(home=tmp_path_factory.mktemp("studio"), REDIS_URL=NO_REDIS), CONFIG)
    backend.http.portal = portal
    yield backend
    backend.context.database.close()


@pytest.fixture
def studio(application: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """The empty application in place of what the dashboard's client reaches."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _empty(application)
    wire = Wire(application.http)
    context = application.context
    client = Client("http://127.0.0.1", context.user_token, transport=wire)
    monkeypatch.setattr(api, "client", lambda: client)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield Studio(context, application.clock, application.http, dict(application.config), wire=wire, client=client)
    client.close()


@pytest.fixture
def intervals(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds after which parts of pages are drawn anew by themselves."""
    seconds: list[float] = []
    fragment = st.fragment

    def listening(draw: Callable[..., None], *, run_every: float | None = None) -> Callable[..., None]:
        if run_every is not None:
            seconds.append(run_every)
        return fragment(draw, run_every=run_every)

    monkeypatch.setattr(st, "fragment", listening)
    return seconds


def _empty(application: Backend) -> None:
    with application.context.database.write() as session:
        for table in reversed(SQLModel.metadata.sorted_tables):
            session.execute(table.delete())
        session.execute(text("DELETE FROM sqlite_sequence"))
    application.context.gains = Gains()  # numbers of runs are given again here
    _remove(application.home)


def _remove(home: Path) -> None:
    for folder in (*(one for one in home.iterdir() if one.name != "backend"), home / "backend" / "attempts"):
        if folder.is_dir():
            shutil.rmtree(folder)
