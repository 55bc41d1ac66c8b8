"""Redis, ports, and the services of a home: what runs, and whether it does its work."""

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import psutil

from backend.api.client import ApiError, Client, Unreachable
from backend.api.schemas import HealthOut, WorkerOut
from backend.launcher.only_one import holder
from backend.launcher.redis_server import server_binary
from backend.launcher.stack import answers, busy_slots, check_port, check_redis, started_services
from backend.serving import redis_address
from backend.serving.variables import url_of
from backend.settings import Settings
from memgen.contract.errors import BadInput
from memgen.contract.service_files import BACKEND_LOCK, LAUNCHER_LOCK, services_dir
from memgen.doctor.finding import Finding, error, not_looked_at, ok, refused, warning

LATE_SECONDS = 60.0  # after its last round a reconciler counts as stuck
Listener = Callable[[int], tuple[int, str] | None]
"""The process that listens on a port, as id and name; None where it is not this user's to know."""


def redis(url: str | None, binary: Callable[[], Path] = server_binary) -> Finding:
    """Where doorbells go.

    Args:
        url: that REDIS_URL names; None if it names none, and `up` starts a server of its own.
        binary: finds that server.

    Raises:
        BadInput: `redis_password`, `redis_unreachable`, `no_redis_server`.
    """
    if url is None:
        return ok("Redis", f"`up` starts a server of its own: {binary()}")
    check_redis(url)
    return ok("Redis", f"{redis_address.shown(url)} answers")


def listening(port: int) -> tuple[int, str] | None:
    """Who listens on a port of this machine."""
    try:
        pids = [
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid
        ]
        return (pids[0], psutil.Process(pids[0]).name()) if pids else None
    except psutil.Error:
        return None


def port(
    subject: str, host: str, number: int, setting: str, ours: Collection[int], who: Listener = listening
) -> Finding:
    """Whether a service of ours can listen.

    Args:
        subject: of the finding.
        host: address that it listens on.
        number: of the port.
        setting: that names it.
        ours: ids of the processes of this home's services.
        who: see `Listener`.

    Raises:
        BadInput: `bad_address`.
    """
    try:
        check_port(host, number, setting)
    except BadInput as reason:
        if reason.code != "port_in_use":
            raise
        taken = who(number)
        if taken and taken[0] in ours:
            return ok(subject, f"{host} port {number} is in use by this home's own service")
        name = f"{taken[1]} (process {taken[0]})" if taken else "a process that is not this user's"
        found = refused(subject, reason)
        return found.model_copy(update={"seen": f"{found.seen}: in use by {name}"})
    return ok(subject, f"{host} port {number} is free")


def ports(settings: Settings, ours: Collection[int]) -> list[Finding]:
    """The ports of backend and dashboard.

    Raises:
        BadInput: `bad_address`.
    """
    s = settings
    if s.port == s.dashboard_port:
        way_out = "Choose another for one of them: MEMGEN_PORT, MEMGEN_DASHBOARD_PORT."
        return [error("ports", f"backend and dashboard share {s.port}", way_out)]
    return [
        port("port: backend", s.host, s.port, "MEMGEN_PORT", ours),
        port("port: dashboard", s.dashboard_host, s.dashboard_port, "MEMGEN_DASHBOARD_PORT", ours),
    ]


def own_processes(home: Path) -> set[int]:
    """Ids of the processes of this home's services: the launcher's, what those started, and a backend by itself."""
    found = set()
    with suppress(OSError, ValueError, psutil.Error):
        for process in started_services(home).values():
            found |= {process.pid, *(child.pid for child in process.children(recursive=True))}
    with suppress(OSError, BadInput):
        found.add(holder(home, BACKEND_LOCK) or 0)
    return found


def stack(settings: Settings) -> list[Finding]:
    """The services of this home: whether they run, and what the backend says of the rest."""
    try:
        launcher = holder(settings.home, LAUNCHER_LOCK)
    except BadInput as reason:  # on another machine, or in a container
        return [not_looked_at("services", reason.message, reason.way_out)]
    if not settings.token and not settings.token_file.exists():
        return [ok("services", "they were never started on this home; `make up` does")]
    url = settings.backend_url or settings.url
    try:
        with Client(url, settings.user_token(), timeout=5) as api:
            health, workers = api.health(), api.workers().items
    except (Unreachable, ApiError) as reason:
        return [_silent(settings, launcher, reason)]
    found = [backend(health, url), *at_work(workers, time.time())]
    if launcher is not None:
        place = url_of(settings.dashboard_host, settings.dashboard_port)
        log = services_dir(settings.home) / "dashboard.log"
        serves = answers(f"{place}/healthz")
        found.append(
            ok("dashboard", f"{place} answers") if serves else error("dashboard", f"{place} is silent", f"Read {log}.")
        )
    return found


def _silent(settings: Settings, launcher: int | None, reason: Exception) -> Finding:
    if launcher is not None:
        log = services_dir(settings.home) / "backend.log"
        return error("services", f"they run (process {launcher}), and the backend refuses: {reason}", f"Read {log}.")
    if isinstance(reason, ApiError):
        way_out = "Set MEMGEN_HOME or MEMGEN_TOKEN to that backend's, or MEMGEN_PORT to another port."
        return error("services", f"another home's backend answers: {reason.problem.message}", way_out)
    busy = busy_slots(settings.home)
    trainers = f", and a trainer goes on in the slot {', '.join(busy)}" if busy else ""
    return ok("services", f"none runs{trainers}; `make up` starts them")


def backend(health: HealthOut, url: str) -> Finding:
    """What the backend says of itself, its database, its reconciler and Redis."""
    parts = {"database": health.database, "Redis": health.broker}
    wrong = [f"{name} {said}" for name, said in parts.items() if said != "ok"]
    age = health.reconciler_age_seconds
    if age is not None and age > LATE_SECONDS:
        wrong.append(f"the reconciler had its last round {age:.0f} s ago")
    seen = f"{url} answers, version {health.version}"
    if wrong or health.status != "ok":
        way_out = "The backend's log (services/backend.log in the home) says more."
        return error("backend", f"{seen}: {'; '.join(wrong) or health.status}", way_out)
    return ok("backend", seen)


def at_work(workers: list[WorkerOut], now: float) -> list[Finding]:
    """The workers that have announced themselves.

    Args:
        workers: as the backend lists them.
        now: seconds since 1970 by this machine's clock.
    """
    alive = [one for one in workers if one.alive]
    if not alive:
        way_out = "Read services/worker.log in the home, or start one elsewhere: `python -m worker`."
        return [error("workers", "none is there, so nothing starts", way_out)]
    slots = ", ".join(f"{slot.name} ({slot.device})" for one in alive for slot in one.slots)
    found = [ok("workers", f"{len(alive)} at work, with the slots {slots or 'none'}")]
    for one in alive:
        if one.refusal is not None:
            found.append(error("workers", f"{one.refusal.message}: it is given no work", one.refusal.way_out))
        if one.clock_ahead:
            side = "ahead of" if one.clock_ahead > 0 else "behind"
            seen = f"the clock of {one.host} is {abs(one.clock_ahead):.0f} s {side} the backend's"
            found.append(warning("clocks", seen, "Set it, best by NTP; nothing that runs depends on it."))
    drained = [one.host for one in alive if one.drained]
    drained += [f"slot {slot.name} of {one.host}" for one in alive for slot in one.slots if slot.drained]
    if drained:
        way_out = "`memgen-studio undrain` lets them take work again."
        found.append(warning("workers", f"drained, so that nothing new starts there: {', '.join(drained)}", way_out))
    late = max(now - one.last_seen.timestamp() for one in alive)
    if abs(late) > 10 * LATE_SECONDS:
        seen = f"a worker that is alive was seen {late:.0f} s ago by this machine's clock"
        found.append(warning("clocks", seen, "Set the clocks of backend and this machine, best by NTP."))
    return found


def token_is_kept(settings: Settings) -> bool:
    """Whether using the token changes nothing: a file that others may read would be closed by whoever reads it."""
    file = settings.token_file
    return bool(settings.token) or not (file.exists() and os.stat(file).st_mode & 0o077)
