"""`make up` and `make down`: Redis, backend, worker and dashboard on this machine, started in order, kept alive.

A running trainer belongs to its supervisor, not to the stack: when the stack ends it goes on, and the next
`up` finds it again. `down` also stops trainers (save and stop).
"""

import errno
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

from backend.api.client import ApiError, Client, Unreachable
from backend.api.connection import certificates
from backend.api.schemas import TryStatus
from backend.launcher.only_one import holder, only_one
from backend.launcher.redis_server import prepare, server_command, socket_path
from backend.launcher.service_process import ServiceProcess, ServiceSpec, end_process, find_process
from backend.serving import redis_address
from backend.serving.hosts import allowed_hosts
from backend.serving.variables import url_of
from backend.settings import Settings
from memgen.contract.data_sets.folders import as_settings
from memgen.contract.errors import BadInput
from memgen.contract.home import look_into_home
from memgen.contract.inheritance import added_names
from memgen.contract.machine import slots_dir, slots_dir_by_name, this_boot
from memgen.contract.rundir import write_json
from memgen.contract.service_files import LAUNCHER_LOCK, is_job_slot, services_dir, slot_locks, stack_file
from memgen.contract.status import StopMode

Say = Callable[[str], None]


class Stack:
    """All services of one home folder.

    Args:
        settings: of the backend.
        say: shows a line to the user.
    """

    def __init__(self, settings: Settings, *, say: Say) -> None:
        self._settings = settings
        self._dashboard = (settings.dashboard_host, settings.dashboard_port)
        self._say = say
        self._logs = services_dir(settings.home)
        self._over = threading.Event()

    def up(self) -> None:
        """Start everything, show URL and token, and keep it alive until a signal comes.

        Raises:
            BadInput: `bad_home`, `already_running`, `port_in_use`, `no_redis_server`, `service_failed`.
        """
        self._settings.open_home()
        with only_one(
            self._settings.home,
            LAUNCHER_LOCK,
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
                stack_file(self._settings.home).unlink(missing_ok=True)
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
                    what = "can't be reached" if service.is_running() else "did not start"
                    raise BadInput(
                        "service_failed",
                        f"{service.spec.name} {what}: {_last_line(service.log)}",
                        field=service.spec.name,
                        value=service.log,
                        way_out="Look at that log.",
                    )
                self._over.wait(0.1)
            service.ready_now()

    def _show(self) -> None:
        if self._over.is_set():
            return
        host, port = self._dashboard
        self._say("")
        self._say(f"  MemGen Studio   {url_of(host, port)}")
        self._say(f"  token           {self._settings.user_token()}")
        self._say(f"  API             {self._settings.url}/docs")
        self._say(f"  files           {self._settings.home}")
        self._say("")
        self._say("Ctrl-C stops the services (a running trainer goes on); `make down` stops trainers too.")

    def _specs(self) -> list[ServiceSpec]:
        s = self._settings
        self._check_names()
        redis_url = s.redis_url if s.names_redis else redis_address.of_socket(socket_path(s.home))
        host, port = self._dashboard
        place = {"MEMGEN_HOME": str(s.home), "MEMGEN_BACKEND_URL": s.url}
        place |= as_settings(s.data_folders)
        user, worker = {"MEMGEN_TOKEN": s.user_token()}, {"MEMGEN_WORKER_TOKEN": s.workers_token()}
        backend = place | _backend_environment(s)
        doorbell = {"REDIS_URL": redis_url}
        python = [sys.executable, "-m"]
        slots = ["--slots", *s.slots.split()] if s.slots else []
        shown = [*python, "dashboard", "--host", host, "--port", str(port)]
        specs = [
            ServiceSpec("backend", [*python, "backend", "serve"], backend | doorbell, self._backend_ready),
            ServiceSpec("worker", [*python, "worker", *slots], place | worker | doorbell, self._worker_ready),
            ServiceSpec("dashboard", shown, place | user, lambda: answers(f"{url_of(host, port)}/healthz")),
        ]
        if not s.names_redis:
            specs.insert(
                0,
                ServiceSpec(
                    "redis",
                    server_command(s.home),
                    {},
                    ready=lambda: redis_address.trouble(redis_url) is None,
                    prepare=lambda: prepare(s.home),
                    stays_ready=True,  # a cleaner of temporary files may take its socket
                ),
            )
        else:
            check_redis(redis_url)
        return specs

    def _check_names(self) -> None:
        """Refuse what a service would refuse, before one is started.

        Raises:
            BadInput: `bad_setting`, `bad_host_name`, `bad_proxy`.
        """
        added_names(os.environ)
        self._settings.hosts()
        self._settings.proxy_addresses()
        setting = "MEMGEN_DASHBOARD_ALLOWED_HOSTS"
        allowed_hosts(self._settings.dashboard_host, os.environ.get(setting, ""), setting)

    def _backend_ready(self) -> bool:
        return backend_answers(self._settings.url, self._settings.user_token())

    def _worker_ready(self) -> bool:
        with Client(self._settings.url, self._settings.user_token(), timeout=3) as client:
            try:
                workers = client.workers().items
            except (Unreachable, ApiError):
                return False
        return any(worker.alive and worker.boot_id == this_boot() for worker in workers)

    def _check_ports(self) -> None:
        if self._settings.port == self._settings.dashboard_port:
            raise BadInput(
                "port_in_use",
                "backend and dashboard can't share a port",
                field="MEMGEN_DASHBOARD_PORT",
                value=self._settings.dashboard_port,
                way_out="Choose another for one of them.",
            )
        check_port(self._settings.host, self._settings.port, "MEMGEN_PORT")
        check_port(*self._dashboard, "MEMGEN_DASHBOARD_PORT")

    def _remember(self, services: list[ServiceProcess]) -> None:
        known = {service.spec.name: service.identity() for service in services}
        write_json(stack_file(self._settings.home), {"services": {n: i for n, i in known.items() if i}})


def down(settings: Settings, say: Say, *, patience: float = 180.0) -> None:
    """Stop the services and, by save and stop, every trainer of this home.

    Raises:
        BadInput: `still_running`, if a trainer did not end in time.
    """
    look_into_home(settings.home, as_owner=True)  # it names processes to end
    launcher = holder(settings.home, LAUNCHER_LOCK)
    if launcher is not None:
        say("stopping the services")
        os.kill(launcher, signal.SIGTERM)
        _wait(lambda: holder(settings.home, LAUNCHER_LOCK) is None, 60)
    end_left_over(settings.home, say)
    if not busy_slots(settings.home):
        say("nothing runs" if launcher is None else "stopped")
        return
    say("stopping trainers (save and stop)")
    url = settings.url
    check_port(settings.host, settings.port, "MEMGEN_PORT")
    environment = _backend_environment(settings) | {"REDIS_URL": settings.redis_url}
    spec = ServiceSpec("backend", [sys.executable, "-m", "backend", "serve"], environment, lambda: True)
    backend = ServiceProcess(spec, services_dir(settings.home))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that the backend below is ended in any case
    backend.start()  # supervisors can report their end to nobody else
    try:
        token = settings.user_token()
        _wait(lambda: backend_answers(url, token), 60)
        with Client(url, token) as client:
            for run in client.runs(status="running").items:
                if run.site is not None:  # its machine is not ours to stop
                    continue
                say(f"run {run.id}: save and stop")
                with suppress(ApiError):  # it ended by itself meanwhile
                    client.stop(run.id, StopMode.SAVE)
            for session in client.try_sessions().items:
                if session.status is not TryStatus.ENDED:
                    say(f"session {session.id}: closed")
                    client.close_try(session.id)
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
    """Names of this machine's slots that a supervisor holds; what a batch system has lent is its own affair."""
    held = []
    folders = (slots_dir(home), slots_dir_by_name(home))
    for name, path in (lock for folder in folders for lock in slot_locks(folder)):
        if is_job_slot(name):
            continue
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(name)
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
    path = stack_file(home)
    if not path.exists():
        return
    try:
        services = started_services(home)
    except ValueError:  # cut short by a power cut, which ended the services as well
        say(f"{path} is damaged and thrown away")
        services = {}
    for name, process in services.items():
        say(f"ending {name} that was left over")
        end_process(process.pid, 10.0, wait=lambda seconds, p=process: _gone(p, seconds))  # type: ignore[misc]
    path.unlink(missing_ok=True)


def started_services(home: Path) -> dict[str, psutil.Process]:
    """Services of this home that a launcher started and that still live, by name.

    Raises:
        ValueError: the file that names them is damaged.
    """
    path = stack_file(home)
    if not path.exists():
        return {}
    try:
        identities = dict(json.loads(path.read_text(encoding="utf-8"))["services"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged") from error
    processes = {name: find_process(identity) for name, identity in identities.items()}
    return {name: process for name, process in processes.items() if process is not None}


def check_port(host: str, port: int, setting: str) -> None:
    """Refuse a port that somebody listens on, and an address that is not this machine's.

    Raises:
        BadInput: `port_in_use`, `bad_address`.
    """
    host_setting = setting.replace("PORT", "HOST")
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise BadInput(
            "bad_address",
            "there is no such address",
            field=host_setting,
            value=host,
            way_out="Name an address of this machine, e.g. 127.0.0.1.",
        ) from error
    for family, _, _, _, address in addresses:
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            is_foreign = error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
            raise BadInput(
                "bad_address" if is_foreign else "port_in_use",
                f"{host} port {port} can't be used ({error.strerror})",
                field=host_setting if is_foreign else setting,
                value=host if is_foreign else port,
                way_out="Name an address of this machine, e.g. 127.0.0.1."
                if is_foreign
                else f"End what listens there, or choose another: {setting}=N make up.",
            ) from error


def answers(url: str) -> bool:
    """Whether something serves this page."""
    try:
        return httpx.get(url, timeout=3, trust_env=False, verify=certificates()).is_success
    except httpx.HTTPError:
        return False


def _backend_environment(settings: Settings) -> dict[str, str]:
    return {
        "MEMGEN_HOME": str(settings.home),
        "MEMGEN_HOST": settings.host,
        "MEMGEN_PORT": str(settings.port),
        "MEMGEN_TOKEN": settings.user_token(),
        "MEMGEN_WORKER_TOKEN": settings.workers_token(),
        **({"MEMGEN_SMTP_PASSWORD": settings.smtp_password} if settings.smtp_password else {}),
    }


def check_redis(url: str) -> None:
    """Refuse an address where no Redis server lets us in.

    Raises:
        BadInput: `redis_password`, `redis_unreachable`.
    """
    redis_address.refuse_wrong_password(url)
    state = redis_address.state(url)
    if state != "ok":
        raise BadInput(
            "redis_unreachable",
            f"no Redis server answers there ({state.rstrip('.')})",
            field="REDIS_URL",
            value=redis_address.shown(url),
            way_out="Start it, or unset REDIS_URL to use a server of our own.",
        )


def _gone(process: psutil.Process, seconds: float) -> bool:
    return not psutil.wait_procs([process], timeout=seconds)[1]


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "it said nothing"
