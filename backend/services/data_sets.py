"""Data sets of users: rows looked at, registered and deleted."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from sqlmodel import Session, col, func, select

from backend.api.schemas import DataSetDeletion, GivenFile
from backend.errors import Conflict, NotFound
from backend.services.disk import size_of
from backend.services.uploads import received
from backend.settings import Settings
from backend.store.models import Run
from memgen.contract.data_sets.hub_rows import SETTING as HUB_SETTING
from memgen.contract.data_sets.hub_rows import HubRows, allowed_repositories
from memgen.contract.data_sets.registered import FULL_NAME, Registration
from memgen.contract.data_sets.report import Report
from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited
from memgen.contract.service_files import registered_dir
from memgen.contract.status import RUN_ENDED
from memgen.data.registered.files import allowed_folders, allowed_path, given_files
from memgen.data.registered.order import Order, OrderedFile, Result

PATIENCE = 600.0  # seconds that a reader may take
_READER = [sys.executable, "-m", "memgen.data.registered.reader"]


class UnusableRows(BadInput):
    """Rows that can't be used, with every problem."""

    def __init__(self, problems: Sequence[BadInput]) -> None:
        super().__init__(**dict(problems[0].problem))
        self.problems = list(problems)


def look(files: Sequence[GivenFile], said: Registration | None, settings: Settings, *, keep: bool = False) -> Report:
    """Read rows in a process of their own.

    Args:
        files: that the client named.
        said: what the user says of them; None for columns and first rows alone.
        settings: whose home and folders are meant.
        keep: register them; otherwise only the report is wanted, whatever it says.

    Raises:
        UnusableRows: with every reason.
        NotFound: `upload_not_found`.
        BadInput: `path_not_allowed`, `repository_not_allowed`, `rows_unreadable`, and whatever is wrong with a file.
    """
    given = [one for file in files for one in _files(file, settings)]
    return read_rows(Order(files=given, registration=said, home=settings.home if keep else None))


def read_rows(order: Order) -> Report:
    """Have a process of its own read rows.

    Raises:
        UnusableRows: with every reason.
        BadInput: `rows_unreadable`.
    """
    result = _read(order)
    problems = [BadInput(**dict(one)) for one in result.problems]
    if problems or result.report is None:
        raise UnusableRows(problems)
    return result.report


def _files(file: GivenFile, settings: Settings) -> list[OrderedFile]:
    if file.upload is not None:
        path, name = received(settings.home, file.upload)
        return [OrderedFile(path=path, name=name, split=file.split)]
    if file.hub is not None:
        _check_allowed(file.hub)
        return [OrderedFile(hub=file.hub, name=str(file.hub), split=file.split)]
    folders = allowed_folders(os.environ)
    path = allowed_path(file.path or "", folders)
    given = given_files(path, file.split)
    for one in given:  # a link in an allowed folder may lead out of it
        allowed_path(str(one.path), folders)
    return [OrderedFile(path=one.path, name=one.name, split=one.split) for one in given]


def _check_allowed(rows: HubRows) -> None:
    allowed = allowed_repositories(os.environ)
    if rows.repository not in allowed:
        names = ", ".join(allowed)
        raise BadInput(
            "repository_not_allowed",
            "the operator does not allow this data set of the hub",
            field="hub",
            value=rows.repository,
            way_out=f"Name one of {names}." if allowed else f"Set {HUB_SETTING} where the backend runs.",
        )


def _read(order: Order) -> Result:
    try:
        done = subprocess.run(
            _READER,
            input=order.model_dump_json().encode(),
            env=inherited("fetcher" if any(one.hub for one in order.files) else "reader", os.environ),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Result.model_validate_json(done.stdout)
    except subprocess.TimeoutExpired:
        reason = f"reading them took more than {PATIENCE:g} s"
    except ValidationError:
        reason = f"the process that reads them ended with code {done.returncode}: {_last_line(done.stderr)}"
    raise BadInput(
        "rows_unreadable",
        f"these rows can't be read: {reason}",
        field="files",
        value=", ".join(one.name for one in order.files),
        way_out="Send a smaller file, or another format.",
    )


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def runs_of(session: Session, name: str) -> int:
    """How many runs use a data set."""
    return int(session.exec(select(func.count()).select_from(Run).where(col(Run.data) == name)).one())


def deletion(session: Session, name: str, home: Path) -> DataSetDeletion:
    """What deleting a registered data set would take away.

    Raises:
        NotFound: `data_set_not_found`.
        Conflict: `data_set_in_use`, if a run that has not ended needs it.
    """
    folder = _folder(name, home)
    under_way = session.exec(
        select(Run.id).where(col(Run.data) == name, col(Run.status).not_in(RUN_ENDED)).order_by(col(Run.id))
    ).all()
    if under_way:
        raise Conflict(
            "data_set_in_use",
            f"{len(under_way)} run{' has' if len(under_way) == 1 else 's have'} not ended and "
            f"need{'s' if len(under_way) == 1 else ''} this data set, the first is run {under_way[0]}",
            field="name",
            value=name,
            way_out="Stop them first, or wait until they have ended.",
        )
    return DataSetDeletion(name=name, bytes=size_of([folder]), runs=runs_of(session, name))


def delete(session: Session, name: str, home: Path) -> Path:
    """Take a registered data set out of the home, in the writer's transaction, so that no run can begin to need it.

    Returns:
        The folder that is left to be removed.

    Raises:
        NotFound: `data_set_not_found`.
        Conflict: `data_set_in_use`.
    """
    deletion(session, name, home)
    gone = registered_dir(home) / f".gone-{name}"
    shutil.rmtree(gone, ignore_errors=True)
    return _folder(name, home).rename(gone)


def _folder(name: str, home: Path) -> Path:
    folder = registered_dir(home) / name
    if FULL_NAME.fullmatch(name) is None or not folder.is_dir():
        raise not_registered(name)
    return folder


def not_registered(name: str) -> NotFound:
    """The error for what was never registered here, or is gone."""
    return NotFound(
        "data_set_not_found",
        "there is no such registered data set",
        field="name",
        value=name,
        way_out="GET /api/v1/data-sets lists them. Those of packages and our own can't be deleted.",
    )
