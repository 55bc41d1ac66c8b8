"""A real Slurm for all tests here, and for each of them a backend of its own that hands runs in at it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.api.client import Client
from backend.api.schemas import RunDetail
from backend.http.context import Context
from backend.http.main import create_app
from backend.settings import Settings
from memgen.contract.status import RUN_ENDED, RunStatus
from tests.backend.conftest import NO_REDIS
from tests.cluster.local_slurm import PLACES, LocalSlurm, lacking
from tests.ports import free_port
from tests.running_stack import wait_until
from tests.serving import serving

ROOT = Path(__file__).parents[2]
REQUIRED = "MEMGEN_TESTS_NEED_SLURM"
"""Where it is set, e.g. in .ci/run, a machine without Slurm fails these tests instead of skipping them."""
SITE = """
[lab]
executor = "slurm"
folder = "{folder}"
python = "{python}"
signal_seconds = 30
{more}
[[lab.sizes]]
name = "small"
memory_gib = 4
"""
PATIENCE = 120.0


@pytest.fixture(scope="session")
def slurm() -> Iterator[LocalSlurm]:
    """One cluster for all tests; they leave its queue empty."""
    if missing := lacking():
        reason = f"there is no Slurm here ({', '.join(missing)}); tests/cluster/install-slurm installs it"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    cluster = LocalSlurm(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Lab:
    """A backend with one site, as a user sees it."""

    slurm: LocalSlurm
    user: Client
    context: Context
    sites_file: Path
    folder: Path
    config: dict[str, object]

    def describe(self, more: str = "", python: str = sys.executable) -> None:
        """Write the operator's file anew."""
        self.sites_file.write_text(SITE.format(folder=self.folder, python=python, more=more))

    def submit(self, questions: int = 3, **changes: object) -> int:
        """A run for the site: an evaluation that answers ten questions a second."""
        return self.user.submit(self.config | {"num_questions": questions} | changes, site="lab").id

    def when(self, run_id: int, condition: Callable[[RunDetail], object], what: str) -> RunDetail:
        """The run as soon as a condition holds."""
        seen: list[RunDetail] = []

        def holds() -> bool:
            seen.append(self.user.run(run_id))
            return bool(condition(seen[-1]))

        try:
            wait_until(holds, PATIENCE, what, pause=0.1)
        except AssertionError as error:
            said = [path.read_text() for path in sorted(self.folder.glob("*.log"))]
            raise AssertionError(f"{error}: {seen[-1]!r}; jobs said {said}") from None
        return seen[-1]

    def ended(self, run_id: int) -> RunDetail:
        """The run once it has ended."""
        return self.when(run_id, lambda run: run.status in RUN_ENDED, f"end of run {run_id}")

    def working(self, run_id: int, answers: int = 3) -> RunDetail:
        """The run once it has given some answers."""
        return self.when(
            run_id,
            lambda run: run.status is RunStatus.RUNNING and run.summary.get("num_questions", 0) >= answers,
            f"answers of run {run_id}",
        )

    def job(self, run_id: int) -> str:
        """Number of the job of a run's newest attempt."""
        run = self.when(run_id, lambda run: run.attempts and run.attempts[-1].job, f"job of run {run_id}")
        return str(run.attempts[-1].job)

    def answers(self, run_id: int) -> list[tuple[int, str]]:
        """What a run answered, question by question."""
        return [(one.index, one.completion) for one in self.user.answers(run_id, limit=200).items]


@pytest.fixture
def lab(
    slurm: LocalSlurm, home: Path, tmp_path: Path, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lab]:
    """A backend and its site; when the test is over nothing of it is left in Slurm's queue."""
    slurm.take_back()
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    monkeypatch.setenv("PATH", PLACES)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MEMGEN_TRAINER", f"{sys.executable} -m tests.faults.trainer")
    monkeypatch.setenv("MEMGEN_POLL_SECONDS", "0.05")
    port = free_port()
    settings = Settings(
        home=home, REDIS_URL=NO_REDIS, port=port, sites=tmp_path / "sites.toml", lease_seconds=15, beat_seconds=0.2,
        reconcile_seconds=0.3, retry_pause_seconds=0, stop_grace_seconds=10,
    )  # fmt: skip
    config = tiny_config | {"seed": 0, "batch_size": 1}
    folder = tmp_path / "jobs"
    made = Lab(slurm, None, None, tmp_path / "sites.toml", folder, config)  # type: ignore[arg-type]
    made.describe()
    app = create_app(settings)
    made.context = app.state.context
    with serving(app, port) as url, Client(url, settings.user_token(), timeout=30) as user:
        made.user = user
        yield made
        wait_until(lambda: not slurm.jobs(), PATIENCE, f"an empty queue of Slurm, {slurm.jobs()}", pause=0.2)
        assert list(folder.glob("*.ticket")) == []
