"""Fixtures that several rooms of the tests share: a tiny model as an operator's preset, and an empty home."""

import gc
import json
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest

from tests.running_stack import RunningStack

# a loaded machine may take long over one example; the whole test has a limit of its own
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# more threads win nothing on a tiny model and cost much beside another process; read when torch is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

GOLDEN = Path(__file__).parent / "golden"
TINY = "tiny/qwen2-242k"


def pytest_configure() -> None:
    """Listen to Ctrl-C even where the tests run in the background of a shell, which lets its children ignore it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave out of each later collection of garbage what the libraries hold: Streamlit and trl ask for one per run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_signal_stays_taken() -> Iterator[None]:
    """What a test runs in this process may listen to signals; the next test's signals are not for it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def presets_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An operator's presets file that offers the tiny base of the golden folder."""
    path = tmp_path_factory.mktemp("presets") / "presets.json"
    entry = {"name": TINY, "note": "242 k weights, for tests", "folder": str(GOLDEN / "tiny_base")}
    path.write_text(json.dumps([entry]))
    return path


@pytest.fixture
def home(tmp_path: Path, presets_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MEMGEN_HOME, with the tiny preset and no other setting of this machine."""
    for name in ("MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "MEMGEN_GSM8K_DIR", "REDIS_URL", "MEMGEN_TRAINER"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("MEMGEN_HOME", str(folder))
    monkeypatch.setenv("MEMGEN_PRESETS", str(presets_file))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


@pytest.fixture
def tiny_config() -> dict[str, object]:
    """A short evaluation of the tiny model on our own word problems."""
    return {
        "stage": "evaluate",
        "preset": TINY,
        "data": "wordproblems",
        "num_questions": 6,
        "batch_size": 4,
        "max_completion_length": 24,
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, presets_file: Path) -> Iterator[RunningStack]:
    """MemGen Studio up and running: real Redis, backend, worker, dashboard; one for a module's tests."""
    running = RunningStack(tmp_path_factory.mktemp("stack") / "home", presets_file)
    running.up()
    yield running
    running.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails beside a stack or in a browser shows what was there: why is seldom seen from outside."""
    report = yield
    if report.when == "call" and report.failed:
        given = getattr(item, "funcargs", {})
        if isinstance(running := given.get("stack"), RunningStack):
            report.sections.append(("runs of the stack", running.how_runs_ended()))
        if (page := given.get("page")) is not None:
            with suppress(Exception):  # the tab may be what broke; the test's own failure is the one to report
                report.sections.append((f"page {page.url}", page.locator("body").aria_snapshot(timeout=5_000)))
    return report
