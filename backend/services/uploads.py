"""Files of users on their way to become data sets or checkpoints.

They are streamed to the disk and kept for a day, never more than so many.
"""

import hashlib
import secrets
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from backend.api.schemas import UploadOut
from backend.errors import NotFound, ServiceError
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.names import file_name
from memgen.contract.rundir import write_json
from memgen.contract.service_files import upload_about, upload_file, uploads_dir

KEPT_SECONDS = 24 * 3600.0
STALLED_SECONDS = 2 * 3600.0  # after which a file that is not whole belongs to nobody any more
MOST_KEPT = 50
SPARE = 2**30  # bytes of the disk that uploads leave to runs


class Upload:
    """One file that is being received; unless `keep` was called nothing of it stays.

    Args:
        home: folder of everything.
        name: as the user knows it.
        expected: bytes that will come, if the client says so.

    Raises:
        BadInput: `unsafe_name`.
        ServiceError: `disk_full`, `too_many_uploads`.
    """

    def __init__(self, home: Path, name: str, expected: int) -> None:
        self._name = file_name(name, "name")
        place = uploads_dir(home)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(home, time.time())
        free = shutil.disk_usage(place).free
        if expected + SPARE > free:
            raise ServiceError(
                "disk_full",
                f"{free:,} bytes are free, and {SPARE:,} of them are left to runs",
                field="name",
                value=name,
                way_out="Delete runs or make room, then send the file again.",
            )
        if len(list(place.iterdir())) >= MOST_KEPT:
            raise ServiceError(
                "too_many_uploads",
                f"there are {MOST_KEPT} uploads that nothing was made of yet",
                field="name",
                value=name,
                way_out="Register a data set or add a checkpoint with them, or send the file again in a day.",
            )
        self._folder = place / secrets.token_hex(8)
        self._folder.mkdir(mode=0o700)
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._kept = False
        self._file = upload_file(self._folder).open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._file.write(piece)
        self._digest.update(piece)
        self._bytes += len(piece)

    def keep(self) -> UploadOut:
        """The whole file was received."""
        self._file.close()
        out = UploadOut(
            id=self._folder.name, name=self._name, bytes=self._bytes, sha256=self._digest.hexdigest()
        )  # fmt: skip
        write_json(upload_about(self._folder), out.model_dump())
        self._kept = True
        return out


def received(home: Path, upload_id: str) -> tuple[Path, str]:
    """The file of an upload, and its name.

    Raises:
        NotFound: `upload_not_found`.
    """
    folder = uploads_dir(home) / upload_id
    try:
        about = UploadOut.model_validate(read_object(upload_about(folder)))
    except (Unreadable, ValidationError):
        raise NotFound(
            "upload_not_found",
            "there is no upload with this id",
            field="upload",
            value=upload_id,
            way_out="Send the file again: an upload is kept for a day.",
        ) from None
    return upload_file(folder), about.name


def sweep(home: Path, now: float) -> None:
    """Remove what nothing was made of within a day, and what was never whole."""
    for folder in uploads_dir(home).iterdir():
        try:
            age = now - folder.stat().st_mtime
        except OSError:  # gone meanwhile
            continue
        if age > (KEPT_SECONDS if upload_about(folder).exists() else STALLED_SECONDS):
            shutil.rmtree(folder, ignore_errors=True)


def forget(home: Path, upload_id: str) -> None:
    """Remove an upload that has become part of a data set or of a checkpoint."""
    shutil.rmtree(uploads_dir(home) / upload_id, ignore_errors=True)
