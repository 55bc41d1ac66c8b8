"""Names below `MEMGEN_HOME` that are the service's own: one function makes each path.

Those of runs, of their public paths and of weights are in `rundir`. Of an empty path they are names seen from the home.
"""

import re
from collections.abc import Iterator
from pathlib import Path

LAUNCHER_LOCK, BACKEND_LOCK = "launcher.lock", "backend.lock"
"""Directly in the home; each names the process that holds it."""


def backend_dir(home: Path) -> Path:
    """What the backend alone writes."""
    return home / "backend"


def database_file(home: Path) -> Path:
    """The SQLite file."""
    return backend_dir(home) / "memgen.db"


def kept_logs_dir(home: Path) -> Path:
    """The backend's copies of the attempts' logs."""
    return backend_dir(home) / "attempts"


def kept_log(home: Path, run_id: int, attempt: int) -> Path:
    """The backend's copy of an attempt's log."""
    return kept_logs_dir(home) / f"{run_id}-{attempt}.log"


def token_file(home: Path) -> Path:
    """The users' token, where it was made here."""
    return backend_dir(home) / "token"


def worker_token_file(home: Path) -> Path:
    """The workers' token, where it was made here."""
    return backend_dir(home) / "worker-token"


def channel_addresses_dir(home: Path) -> Path:
    """Addresses of channels of notifications, a file each: they hold secrets, so they are in no backup."""
    return backend_dir(home) / "channel-addresses"


def instance_file(home: Path) -> Path:
    """What tells this home from all others."""
    return backend_dir(home) / "instance"


def backend_url_file(home: Path) -> Path:
    """Where a backend writes its address, for supervisors that outlive a move to another port."""
    return backend_dir(home) / "url"


def services_dir(home: Path) -> Path:
    """Logs of the services that a launcher has started."""
    return home / "services"


def stack_file(home: Path) -> Path:
    """Which services a launcher has started."""
    return services_dir(home) / "stack.json"


def redis_dir(home: Path) -> Path:
    """Where the private Redis listens."""
    return home / "redis"


def worker_dir(home: Path) -> Path:
    """What workers and supervisors write beside the runs; locks of slots are in folders by machine."""
    return home / "worker"


def fetched_checkpoints_dir(home: Path) -> Path:
    """Checkpoints that a worker has fetched from a backend with another home, by the names of their weights."""
    return home / "fetched"


def supervisors_log(home: Path) -> Path:
    """What supervisors say."""
    return worker_dir(home) / "supervisors.log"


def heard_file(home: Path, machine: str) -> Path:
    """Holds the seconds until the next sign of life of a machine's worker; changed when the last one was heard."""
    return worker_dir(home) / f"{machine}.heard"


def slot_lock(folder: Path, slot: str) -> Path:
    """The lock of a slot, in the folder of its machine."""
    return folder / f"slot-{slot}.lock"


def slot_locks(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names of slots with their locks in the folder of a machine."""
    for path in sorted(folder.glob("slot-*.lock")):
        if match := re.fullmatch(r"slot-(.*)\.lock", path.name):
            yield match[1], path


def job_slot(number: int) -> str:
    """How the place is called that a batch system has lent for a job; its lock is named like that of a slot."""
    return f"job-{number}"


def is_job_slot(name: str) -> bool:
    """Whether a place was lent for a job, and is no slot of a worker."""
    return name.startswith("job-")


def ended_sessions_file(home: Path) -> Path:
    """Sessions of the dashboard that were logged out, until their cookies end by themselves."""
    return home / "dashboard" / "ended-sessions"


def registered_dir(home: Path) -> Path:
    """Data sets that users registered, a folder each."""
    return home / "data-sets"


def data_set_record(folder: Path) -> Path:
    """The record of a registered data set, in its folder."""
    return folder / "record.json"


def data_set_rows(folder: Path) -> Path:
    """The rows of a registered data set, in its folder."""
    return folder / "rows.jsonl"


def try_dir(home: Path) -> Path:
    """Sessions in which checkpoints are tried out, a folder each while it lives."""
    return home / "try"


def uploads_dir(home: Path) -> Path:
    """Files of users on their way to become data sets."""
    return home / "uploads"


def upload_file(folder: Path) -> Path:
    """The bytes of an upload, in its folder."""
    return folder / "file"


def upload_about(folder: Path) -> Path:
    """What is known of an upload, in its folder: it is there once all of the file is."""
    return folder / "upload.json"
