"""A dashboard over a backend whose runs the test has made itself: no worker, no Redis, and up in seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi.testclient import TestClient

from backend.api.client import Client
from backend.settings import Settings
from tests.backend.conftest import NO_REDIS, Clock, make_backend
from tests.dashboard.studio import Studio, Wire
from tests.ports import free_port
from tests.serving import serving, serving_process
from tests.warm_python import warm_python

CONFIG: dict[str, object] = {"stage": "evaluate", "num_questions": 20}
FIRST = ("/", "/run?run=1&tab=Settings", "/launch?what=weaver_sft", "/compare?runs=1,3,5,6")
"""Addresses of a home with runs of every kind (`shown` of conftest.py): what one sees most."""
OTHERS = (
    "/runs", "/run?run=1", "/run?run=1&tab=Answers", "/run?run=1&tab=Log", "/run?run=1&tab=History", "/run?run=2",
    "/run?run=2&tab=Metrics", "/run?run=2&tab=Checkpoint", "/run?run=4&tab=Rollouts", "/run?run=7", "/pipelines",
    "/pipeline?pipeline=1", "/checkpoints", "/compare?runs=1,3&tab=Answers", "/lineage", "/queue", "/data_sets",
    "/notifications", "/launch", "/launch?what=weaver_eval", "/curves?runs=2,4",
)  # fmt: skip
"""All other pages and tabs."""


@contextmanager
def populated(home: Path) -> Iterator[tuple[Studio, str]]:
    """What users and workers do, in short words, and the address of the dashboard that shows it."""
    backend = make_backend(Settings(home=home, REDIS_URL=NO_REDIS), CONFIG, Clock(time.time()))
    wire, context = Wire(backend.http), backend.context
    client = Client("http://127.0.0.1", context.user_token, transport=wire)
    studio = Studio(context, backend.clock, backend.http, CONFIG, wire=wire, client=client)
    port = free_port()
    command = [warm_python(), "-m", "dashboard", "--port", str(port)]
    assert isinstance(backend.http, TestClient)
    with (
        serving(backend.http.app, free_port()) as backend_url,
        serving_process(
            command,
            port,
            MEMGEN_TOKEN=backend.context.user_token,
            MEMGEN_HOME=str(home),
            MEMGEN_BACKEND_URL=backend_url,
        ) as url,
    ):
        yield studio, url
