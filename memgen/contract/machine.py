"""Which machine this is: by its boot and its id, never by its name, which may change while a trainer runs.

Two machines may also have the same name. Containers on one machine count as machines of their own: they do not see each
other's processes.
"""

import platform
import re
import uuid
from functools import cache
from hashlib import sha256
from pathlib import Path

from memgen.contract.service_files import worker_dir

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PROCESSES = Path("/proc/self/ns/pid")
ID = re.compile(r"[0-9a-f]{32}")
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


@cache
def this_boot() -> str:
    """Names this machine from its start to the next: `MACHINE/BOOT`.

    MACHINE outlives a restart and is empty where the machine has no id; BOOT is new with each start, and of a container
    with each start of it.
    """
    machine = _machine_id()
    return f"{_short(machine) if machine else ''}/{_boot()}"


def slots_dir(home: Path) -> Path:
    """Where the locks of this machine's slots lie.

    By the boot alone: no process outlives it, and nothing that can be changed meanwhile is part of the path.
    """
    return worker_dir(home) / _boot()


def machine_name() -> str:
    """What people call this machine; never empty, whatever it is set to."""
    return platform.node().encode(errors="replace").decode()[:200] or "unnamed"


def slots_dir_by_name(home: Path) -> Path:
    """Where supervisors of version 0.1 have their locks, which may outlive an upgrade."""
    return worker_dir(home) / (machine_name().replace("/", "_") if machine_name() not in {".", ".."} else "_")


def same_machine(one: str, other: str) -> bool | None:
    """Whether two values of `this_boot` come from one machine; None if they do not tell."""
    machines = [boot.rpartition("/")[0] for boot in (one, other)]
    return machines[0] == machines[1] if all(machines) else None


@cache
def _boot() -> str:
    try:
        processes = str(PROCESSES.readlink())
    except OSError:
        processes = ""
    return _short(f"{_text(BOOT_ID) or _machine_id() or _network_address()} {processes}")


def _machine_id() -> str:
    texts = map(_text, MACHINE_IDS)
    return next((text for text in texts if ID.fullmatch(text)), "")  # an image may have `uninitialized` there


def _network_address() -> str:
    """Of this machine's network card; nothing without one, as Python then draws a number anew in each process."""
    number = uuid.getnode()
    return "" if number >> 40 & 1 else str(number)


def _short(text: str) -> str:
    """A machine's id is not to be handed out as it is."""
    return sha256(f"memgen-studio {text}".encode()).hexdigest()[:16]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
