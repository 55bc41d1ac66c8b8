"""What a backup is, for those who write and those who read one: its own files, its names, and what it never holds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memgen.contract.home import AREAS
from memgen.contract.rundir import added_checkpoints_dir, models_dir
from memgen.contract.service_files import (
    BACKEND_LOCK,
    LAUNCHER_LOCK,
    backend_url_file,
    database_file,
    instance_file,
    kept_logs_dir,
    redis_dir,
    registered_dir,
    services_dir,
    token_file,
    try_dir,
    uploads_dir,
    worker_dir,
    worker_token_file,
)

FORMAT = 2
READABLE_FORMATS = (1, 2)
"""The first has no table of files, so nobody can tell whether its files are whole."""
ABOUT = "backup.json"
"""The first file of an archive."""
TABLE = "backup-files.jsonl"
"""The last one: a line for each file, folder and link before it."""
_HERE = Path()
DATABASE, LOGS, MODELS = str(database_file(_HERE)), str(kept_logs_dir(_HERE)), str(models_dir(_HERE))
ADDED = str(added_checkpoints_dir(_HERE))
FOLDERS = {"backend", LOGS, "runs", "logs", MODELS, str(registered_dir(_HERE)), ADDED, *AREAS}
"""Where the service has a folder, nothing else can stand."""
LEFT_OUT = (
    *(str(make(_HERE)) for make in (redis_dir, services_dir, worker_dir, uploads_dir, try_dir)),
    LAUNCHER_LOCK,
    BACKEND_LOCK,
    *(str(make(_HERE)) for make in (token_file, worker_token_file, backend_url_file, instance_file)),
    f"{DATABASE}-wal",
    f"{DATABASE}-shm",
    f"{DATABASE}-journal",
)
"""What belongs to processes of this machine, or is secret and made anew. It is neither backed up nor restored: whoever
hands out an archive with a token in it could log in afterwards. Nor is whatever else lies beside the database: of the
backend's folder only `DATABASE` and `LOGS` are in a backup."""
LOST_AND_FOUND = "lost+found"
"""A folder that a file system makes for itself at its top."""
BACKING_UP, RESTORING = ".memgen-backup-", ".memgen-restore-"
"""How the folder begins in which a backup is made, beside its place, and that into which one is unpacked."""

LONGEST_NAME, LONGEST_PART, DEEPEST = 2048, 255, 64
"""Limits of a name below the home: bytes, bytes between two slashes, and how many folders lie in each other."""


class BadArchive(ValueError):
    """An archive that can't be used; the text goes on from "this backup can't be used:"."""


class About(BaseModel):
    """What an archive says of itself."""

    model_config = ConfigDict(strict=True, frozen=True)

    format: int
    time: float = Field(ge=0, lt=2**35)
    """When it was made, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: a file with its size and hash, a link with its target, or a folder."""

    name: str
    size: int = 0
    sha256: str | None = None
    link: str | None = None

    def __str__(self) -> str:
        """As JSON, which also bears names that are no UTF-8."""
        fields = {"name": self.name, "size": self.size, "sha256": self.sha256, "link": self.link}
        return json.dumps(fields) + "\n"


def read_about(data: bytes) -> About:
    """Read the first file of an archive.

    Raises:
        BadArchive: no such object, or another format.
    """
    try:
        about = About.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadArchive(f"in its {ABOUT}, {where or 'the JSON'} is wrong: {first['msg']}") from None
    if about.format not in READABLE_FORMATS:
        raise BadArchive(f"its format is {about.format}, and this version reads {READABLE_FORMATS}")
    return about


def read_line(data: bytes) -> Line:
    """Read a line of the table. What it holds is only ever compared, so types are not looked at.

    Raises:
        BadArchive: no JSON object of these fields.
    """
    try:
        return Line(**json.loads(data))
    except (ValueError, TypeError, RecursionError):
        raise BadArchive(f"a line of its {TABLE} is damaged: {shown(data.decode(errors='replace'))}") from None


def stays_out(parts: Sequence[str]) -> bool:
    """Whether this name below the home is neither backed up nor restored."""
    return (
        parts[0] in LEFT_OUT
        or (parts[0] == "backend" and len(parts) > 1 and "/".join(parts[:2]) not in {DATABASE, LOGS})
        or parts[0].startswith(RESTORING)
        or any(part == LOST_AND_FOUND or part.startswith(BACKING_UP) for part in parts)
    )


def link_problem(name: Sequence[str], target: Sequence[str]) -> str | None:
    """Why a link below the home can be in no archive, given the place in the home that it names; None if it can."""
    if is_private(name) or is_private(target):
        return "a link to, or among, what the backend alone writes or a backup never holds"
    problem = name_problem(target)
    return problem and f"a link to {problem}"


def is_private(parts: Sequence[str]) -> bool:
    """Whether a link may not lead here, since it would show what is left out or what the service alone writes."""
    return not parts or parts[0].casefold() in _PRIVATE


_PRIVATE = {name.partition("/")[0] for name in LEFT_OUT}


def name_problem(parts: Sequence[str]) -> str | None:
    """Why a name below the home can be in no archive; None if it can."""
    name = "/".join(parts)
    if any(part in {"", ".", ".."} for part in parts):
        return "a name that is not simply a path below the home"
    if any(letter == "\\" or ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name):
        return "a name with a backslash or a control character"
    if len(parts) > DEEPEST:
        return f"a name of more than {DEEPEST} folders in each other"
    if len(_bytes(name)) > LONGEST_NAME or any(len(_bytes(part)) > LONGEST_PART for part in parts):
        return f"a name of more than {LONGEST_NAME} bytes, or with more than {LONGEST_PART} between two slashes"
    return None


def shown(name: str) -> str:
    """A name from an archive for people, in quotes."""
    return f"'{plain(name)}'"


def plain(text: str) -> str:
    """Text from an archive for people: short, and without characters that a terminal obeys."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:201])
    return text if len(text) <= 200 else text[:200] + "..."


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
