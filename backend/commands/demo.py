"""The demo: a trained weaver, trigger and LTPO against the base, from nothing to the comparison, and a few steps of
training; what `make demo` runs."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backend.api.client import Client
from backend.api.schemas import PipelineOut, RunOut
from backend.commands.pipeline_text import follow, show_comparison
from backend.commands.run_text import follow_run
from backend.launcher.stack import backend_answers
from backend.settings import Settings
from memgen.contract.demo import LIVE_NOTE, demo_spec, live_config
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.service_files import services_dir
from memgen.contract.status import PipelineStatus, RunStatus

PATIENCE = 180.0  # seconds until the services are up


def run_demo(settings: Settings, say: Callable[[str], None], spec: PipelineSpec | None = None) -> bool:
    """Submit the demo, show its progress and the comparison; returns whether all of it succeeded.

    Args:
        settings: of the backend.
        say: shows a line to the user.
        spec: a pipeline in the place of the demo.

    Raises:
        BadInput: the services do not start.
    """
    settings.open_home()
    url = settings.url
    with _services(settings, url, say), Client(url, settings.user_token(), timeout=30) as api:
        began = time.monotonic()
        pipeline, live = submit_demo(api) if spec is None else (api.submit_pipeline(spec), None)
        say(f"pipeline {pipeline.id} of {len(pipeline.steps)} steps: {pipeline.preset}, {pipeline.data}")
        done = follow(api, pipeline.id, say)
        evaluations = [step.run for step in done.steps if step.run is not None and step.run.setting]
        finished = [run.id for run in evaluations if run.status == "succeeded"]
        if finished:
            show_comparison(api.compare(finished))
        trained = live is None or follow_run(api, live.id, say).status is RunStatus.SUCCEEDED
        say(f"{time.monotonic() - began:.0f} s")
        return trained and done.status is PipelineStatus.SUCCEEDED


def submit_demo(api: Client) -> tuple[PipelineOut, RunOut]:
    """The demo's pipeline, and the training beside it."""
    pipeline = api.submit_pipeline(demo_spec(api.shipped_checkpoints().model_dump()))
    return pipeline, api.submit(live_config().model_dump(mode="json"), note=LIVE_NOTE)


@contextmanager
def _services(settings: Settings, url: str, say: Callable[[str], None]) -> Iterator[None]:
    """The services: those that run already, else our own, which end with the demo."""
    if backend_answers(url, settings.user_token()):
        say(f"using the services that run at {url}")
        yield
        return
    log = services_dir(settings.home) / "demo.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "backend", "up"], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while "Ctrl-C" not in log.read_text(encoding="utf-8", errors="replace"):
            if launcher.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise BadInput(
                    "service_failed",
                    f"the services did not start: {lines[-1] if lines else 'nothing was said'}",
                    field="MEMGEN_HOME",
                    value=settings.home,
                    way_out=f"Look at {log}.",
                )
            time.sleep(0.2)
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("  "):  # address and token, to watch in the dashboard meanwhile
                say(line)
        yield
    finally:
        if launcher.poll() is None:
            launcher.send_signal(signal.SIGINT)
            launcher.wait(60)
    say("the services have been stopped; `make up` starts them again and shows this pipeline in the dashboard")
