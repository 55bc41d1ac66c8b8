"""MemGen Studio as `make up` starts it, on free ports and a home of its own; ended for certain."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from backend.api.client import Client
from backend.api.schemas import RunDetail
from memgen.contract.status import RUN_ENDED, RunStatus
from tests.ports import free_port
from tests.warm_python import warm_python


def wait_until(condition: Callable[[], object], seconds: float, what: str, *, pause: float = 0.1) -> None:
    """Poll until a condition holds, looking again after a pause in seconds.

    Raises:
        AssertionError: it does not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(pause)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not reaped yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class RunningStack:
    """A stack under test.

    Args:
        home: its MEMGEN_HOME.
        presets_file: operator's presets.
        python: interpreter of the environment that it is installed in; the warm one if none.
        settings: more environment variables, e.g. short intervals.
    """

    def __init__(self, home: Path, presets_file: Path, *, python: str = "", **settings: str) -> None:
        self.home = home
        self.python = python or warm_python()
        self.backend_port, self.dashboard_port = free_port(), free_port()
        dropped = ("MEMGEN_", "REDIS_URL")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        self.environment |= {
            "MEMGEN_HOME": str(home),
            "MEMGEN_PORT": str(self.backend_port),
            "MEMGEN_DASHBOARD_PORT": str(self.dashboard_port),
            "MEMGEN_PRESETS": str(presets_file),
            "MEMGEN_SLOTS": "cpu",
            "HF_HUB_OFFLINE": "1",
            "MEMGEN_LEASE_SECONDS": "8",
            "MEMGEN_BEAT_SECONDS": "0.5",
            "MEMGEN_RECONCILE_SECONDS": "0.5",
            "MEMGEN_RETRY_PAUSE_SECONDS": "0",
            "MEMGEN_ANNOUNCE_SECONDS": "2",
            "MEMGEN_POLL_SECONDS": "0.2",
            **settings,
        }
        if "MEMGEN_TRAINER" not in settings:
            self.environment["MEMGEN_TRAINER"] = f"{warm_python()} -m tests.slow_trainer"
        self.output = home.parent / f"{home.name}-up.txt"
        self.launcher: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a word of the command line to its end."""
        return subprocess.run(
            [self.python, "-m", "backend", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def up(self) -> None:
        """Start and wait until it says so."""
        with self.output.open("wb") as out:
            self.launcher = subprocess.Popen(
                [self.python, "-m", "backend", "up"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                umask=0,  # what the service writes is its owner's alone all the same
            )
        wait_until(self._is_up, 90, "make up")

    def _is_up(self) -> bool:
        assert self.launcher is not None
        said = self.output.read_text()
        assert self.launcher.poll() is None, said
        return "Ctrl-C" in said

    def interrupt(self) -> None:
        """Ctrl-C."""
        assert self.launcher is not None
        self.launcher.send_signal(signal.SIGINT)
        assert self.launcher.wait(60) == 0, self.output.read_text()

    def close(self) -> None:
        """Stop services and trainers."""
        done = self.command("down")
        if self.launcher is not None and self.launcher.poll() is None:
            self.launcher.kill()
            self.launcher.wait()
        assert done.returncode == 0, done.stderr + done.stdout
        assert self.processes() == []

    @property
    def token(self) -> str:
        """The users' token."""
        return (self.home / "backend" / "token").read_text().strip()

    @property
    def dashboard_url(self) -> str:
        """Where the browser goes."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    def client(self) -> Client:
        """A user's client."""
        return Client(f"http://127.0.0.1:{self.backend_port}", self.token, timeout=20)

    def service_pid(self, name: str) -> int | None:
        """Process id of a service, as the launcher has written it."""
        path = self.home / "services" / "stack.json"
        if not path.exists():
            return None
        services = json.loads(path.read_text())["services"]
        return int(services[name]["pid"]) if name in services else None

    def kill_service(self, name: str) -> None:
        """kill -9 a service and wait until the launcher has started it again."""
        pid = self.service_pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.service_pid(name) not in {None, pid}, 30, f"restart of {name}")

    def supervisor(self, run_id: int, attempt: int) -> dict[str, int]:
        """Process ids of an attempt's supervisor and trainer."""
        path = self.home / "runs" / str(run_id) / "attempts" / str(attempt) / "supervisor.json"
        wait_until(path.exists, 30, f"start of attempt {attempt} of run {run_id}")
        found: dict[str, int] = json.loads(path.read_text())
        return found

    def run_when(self, run_id: int, condition: Callable[[RunDetail], object], seconds: float, what: str) -> RunDetail:
        """The run as soon as a condition holds; the backend may be away meanwhile."""
        from backend.api.client import Unreachable

        found: list[RunDetail] = []

        def holds() -> bool:
            try:
                with self.client() as client:
                    run = client.run(run_id)
            except Unreachable:
                return False
            found.append(run)
            return bool(condition(run))

        wait_until(holds, seconds, what)
        return found[-1]

    def run_ended(self, run_id: int, seconds: float = 120) -> RunDetail:
        """The run once it has ended."""
        return self.run_when(run_id, lambda run: run.status in RUN_ENDED, seconds, f"end of run {run_id}")

    def how_runs_ended(self) -> str:
        """The failures of its runs, and the last lines of all logs, for a test's report."""
        from backend.api.client import ApiError, Unreachable

        try:
            with self.client() as client:
                failed = [client.run(run.id) for run in client.runs(status=RunStatus.FAILED).items]
        except (ApiError, Unreachable) as error:
            return f"the backend does not say: {error}"
        told = [f"run {run.id}: {run.failure}" for run in failed]
        for path in sorted([*self.home.glob("services/*.log"), *self.home.glob("runs/*/attempts/*/log.txt")]):
            told += [f"-- {path.relative_to(self.home)}", *path.read_text(errors="replace").splitlines()[-20:]]
        return "\n".join(told)

    def processes(self) -> list[str]:
        """Command lines of what still runs on this home."""
        return [" ".join(process.info["cmdline"] or []) for process in self.found()]

    def found(self) -> list[psutil.Process]:
        """What still runs on this home, by its environment or command line."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            try:
                words = " ".join(process.info["cmdline"] or [])
                mine = str(self.home) in words or process.environ().get("MEMGEN_HOME") == str(self.home)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if mine and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found
