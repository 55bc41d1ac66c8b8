"""`make up` and `make down`: Redis, backend, worker and dashboard on this machine, started in order, kept alive.

A running trainer belongs to its supervisor, not to the stack: when the stack ends it goes on, and the next
`up` finds it again. `down` also stops trainers (save and stop).
"""

import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import redis

from backend.client import ApiError, Client, Unreachable
from backend.only_one import holder, only_one
from backend.redis_server import server_command, socket_path
from backend.service_process import ServiceProcess, ServiceSpec, end_process, find_process
from backend.settings import Settings
from memgen.contract.errors import BadInput
from memgen.contract.gsm8k_folder import GSM8K_SETTING
from memgen.contract.inheritance import added_names
from memgen.contract.machine import slots_dir, slots_dir_by_name, this_boot
from memgen.contract.rundir import write_json
from memgen.contract.status import StopMode

Say = Callable[[str], None]
LOCK = "launcher.lock"


class Stack:
    """All services of one home folder.

    Args:
        settings: of the backend.
        dashboard_host, dashboard_port: where the dashboard listens.
        slots: slots of the worker, or empty for one per GPU.
        say: shows a line to the user.
    """

    def __init__(
        self, settings: Settings, *, dashboard_host: str, dashboard_port: int, slots: list[str], say: Say
    ) -> None:
        self._settings = settings
        self._dashboard = (dashboard_host, dashboard_port)
        self._slots = slots
        self._say = say
        self._logs = settings.home / "services"
        self._over = threading.Event()

    def up(self) -> None:
        """Start everything, show URL and token, and keep it alive until a signal comes.

        Raises:
            BadInput: `already_running`, `port_in_use`, `no_redis_server`, `service_failed`.
        """
        with only_one(
            self._settings.home,
            LOCK,
            running="MemGen Studio already runs on this folder",
            way_out="`make down` stops it.",
        ):
            end_left_over(self._settings.home, self._say)
            self._check_ports()
            specs = self._specs()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda *_: self._over.set())
            services = [ServiceProcess(spec, self._logs) for spec in specs]
            try:
                self._start(services)
                self._show()
                while not self._over.wait(0.5):
                    for service in services:
                        line = service.tend()
                        if line:
                            self._say(line)
                            self._remember(services)
            finally:
                self._say("stopping the services")
                for service in reversed(services):
                    service.stop()
                _state_file(self._settings.home).unlink(missing_ok=True)
        if busy_slots(self._settings.home):
            self._say("a trainer goes on; `make up` takes it up again, `make down` stops it (save and stop)")

    def _start(self, services: list[ServiceProcess]) -> None:
        for service in services:
            self._say(f"starting {service.spec.name}")
            service.start()
            self._remember(services)
            deadline = time.monotonic() + service.spec.patience
            while not service.spec.ready():
                if self._over.is_set():
                    return
                if not service.is_running() or time.monotonic() > deadline:
                    raise BadInput(
                        "service_failed",
                        f"{service.spec.name} did not start: {_last_line(service.log)}",
                        field=service.spec.name,
                        value=service.log,
                        way_out="Look at that log.",
                    )
                self._over.wait(0.1)

    def _show(self) -> None:
        if self._over.is_set():
            return
        host, port = self._dashboard
        self._say("")
        self._say(f"  MemGen Studio   {shown_url(host, port)}")
        self._say(f"  token           {self._settings.user_token()}")
        self._say(f"  API             {self._backend_url}/docs")
        self._say(f"  files           {self._settings.home}")
        self._say("")
        self._say("Ctrl-C stops the services (a running trainer goes on); `make down` stops trainers too.")

    def _specs(self) -> list[ServiceSpec]:
        s = self._settings
        added_names(os.environ)  # refuses what no service could be started with
        redis_url = os.environ.get("REDIS_URL") or f"unix://{socket_path(s.home)}"
        host, port = self._dashboard
        places = {"MEMGEN_HOME": str(s.home), "MEMGEN_BACKEND_URL": self._backend_url}
        if s.gsm8k_dir is not None:  # one folder for all, whatever `~` or the current folder is to each
            places[GSM8K_SETTING] = str(s.gsm8k_dir)
        rings = {"REDIS_URL": redis_url}
        listens = {"MEMGEN_HOST": s.host, "MEMGEN_PORT": str(s.port)}
        user_token, worker_token = {"MEMGEN_TOKEN": s.user_token()}, {"MEMGEN_WORKER_TOKEN": s.workers_token()}
        python = [sys.executable, "-m"]
        worker = [*python, "worker", *(["--slots", *self._slots] if self._slots else [])]
        dashboard = [*python, "dashboard", "--host", host, "--port", str(port)]
        specs = [
            ServiceSpec(
                "backend",
                [*python, "backend", "serve"],
                places | rings | listens | user_token | worker_token,
                self._backend_ready,
            ),
            ServiceSpec("worker", worker, places | rings | worker_token, self._worker_ready),
            ServiceSpec(
                "dashboard", dashboard, places | user_token, lambda: _answers(f"{shown_url(host, port)}/healthz")
            ),
        ]
        if not os.environ.get("REDIS_URL"):
            specs.insert(0, ServiceSpec("redis", server_command(s.home), {}, lambda: _pings(redis_url)))
        elif not _pings(redis_url):
            raise BadInput(
                "redis_unreachable",
                "no Redis server answers there",
                field="REDIS_URL",
                value=redis_url,
                way_out="Start it, or unset REDIS_URL to use a server of our own.",
            )
        return specs

    @property
    def _backend_url(self) -> str:
        return shown_url(self._settings.host, self._settings.port)

    def _backend_ready(self) -> bool:
        return backend_answers(self._backend_url, self._settings.user_token())

    def _worker_ready(self) -> bool:
        with Client(self._backend_url, self._settings.user_token(), timeout=3) as client:
            try:
                workers = client.workers().items
            except (Unreachable, ApiError):
                return False
        return any(worker.alive and worker.boot_id == this_boot() for worker in workers)

    def _check_ports(self) -> None:
        check_port(self._settings.host, self._settings.port, "MEMGEN_PORT")
        check_port(*self._dashboard, "MEMGEN_DASHBOARD_PORT")

    def _remember(self, services: list[ServiceProcess]) -> None:
        known = {service.spec.name: service.identity() for service in services}
        write_json(_state_file(self._settings.home), {"services": {n: i for n, i in known.items() if i}})


def down(settings: Settings, say: Say, *, patience: float = 180.0) -> None:
    """Stop the services and, by save and stop, every trainer of this home.

    Raises:
        BadInput: `still_running`, if a trainer did not end in time.
    """
    launcher = holder(settings.home, LOCK)
    if launcher is not None:
        say("stopping the services")
        os.kill(launcher, signal.SIGTERM)
        _wait(lambda: holder(settings.home, LOCK) is None, 60)
    end_left_over(settings.home, say)
    if not busy_slots(settings.home):
        say("nothing runs" if launcher is None else "stopped")
        return
    say("stopping trainers (save and stop)")
    url = shown_url(settings.host, settings.port)
    check_port(settings.host, settings.port, "MEMGEN_PORT")
    environment = {"MEMGEN_HOME": str(settings.home), "MEMGEN_HOST": settings.host, "MEMGEN_PORT": str(settings.port)}
    spec = ServiceSpec("backend", [sys.executable, "-m", "backend", "serve"], environment, lambda: True)
    backend = ServiceProcess(spec, settings.home / "services")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that the backend below is ended in any case
    backend.start()  # supervisors can report their end to nobody else
    try:
        token = settings.user_token()
        _wait(lambda: backend_answers(url, token), 60)
        with Client(url, token) as client:
            for run in client.runs(status="running").items:
                say(f"run {run.id}: save and stop")
                with suppress(ApiError):  # it ended by itself meanwhile
                    client.stop(run.id, StopMode.SAVE)
        ended = _wait(lambda: not busy_slots(settings.home), patience)
    finally:
        backend.stop()
    if not ended:
        raise BadInput(
            "still_running",
            f"a trainer did not end within {patience:.0f} s",
            field="slot",
            value=", ".join(busy_slots(settings.home)),
            way_out="Try `make down` again, or stop the run with force in the dashboard.",
        )
    say("stopped; `make up` starts again, and stopped runs can be resumed")


def busy_slots(home: Path) -> list[str]:
    """Names of this machine's slots that a supervisor holds."""
    held = []
    folders = (slots_dir(home), slots_dir_by_name(home))
    for path in sorted(path for folder in folders for path in folder.glob("slot-*.lock")):
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(path.stem.removeprefix("slot-"))
    return held


def backend_answers(url: str, token: str) -> bool:
    """Whether the backend serves this token."""
    with Client(url, token, timeout=3) as client:
        try:
            client.health()
        except (Unreachable, ApiError):
            return False
    return True


def end_left_over(home: Path, say: Say) -> None:
    """End services of a launcher that was killed; only processes that it had started, by id and start time."""
    path = _state_file(home)
    if not path.exists():
        return
    for name, identity in json.loads(path.read_text(encoding="utf-8"))["services"].items():
        process = find_process(identity)
        if process is not None:
            say(f"ending {name} that was left over")
            end_process(process.pid, 10.0, wait=lambda seconds, p=process: _gone(p, seconds))  # type: ignore[misc]
    path.unlink(missing_ok=True)


def check_port(host: str, port: int, setting: str) -> None:
    """Refuse a port that somebody listens on.

    Raises:
        BadInput: `port_in_use`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(
                "port_in_use",
                f"{host} port {port} can't be used ({error.strerror})",
                field=setting,
                value=port,
                way_out=f"End what listens there, or choose another: {setting}=N make up.",
            ) from error


def _state_file(home: Path) -> Path:
    return home / "services" / "stack.json"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=3, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _pings(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as server:
            return bool(server.ping())
    except (redis.RedisError, OSError):
        return False


def _gone(process: psutil.Process, seconds: float) -> bool:
    return not psutil.wait_procs([process], timeout=seconds)[1]


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def shown_url(host: str, port: int) -> str:
    """The address to type for something that listens on a host and port."""
    if host in {"0.0.0.0", "::"}:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "it said nothing"
