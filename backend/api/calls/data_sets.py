"""Data sets of users: files, uploads, previews, registered rows."""

from collections.abc import Callable, Iterator
from typing import BinaryIO
from uuid import uuid4

from backend.api import schemas as s
from backend.api.connection import READING, Connection
from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.report import Report

PIECE = 2**18  # bytes of a file that are sent at once


class DataSetCalls(Connection):
    """Data sets of users: files, uploads, previews, registered rows."""

    def data_files(self) -> s.DataFiles:
        """Files of the backend's machine that may be named, and the limit of uploads."""
        return self._get("/data-sets/files", s.DataFiles)

    def upload(
        self, open_file: Callable[[], BinaryIO], name: str, size: int, progress: Callable[[int], None] = lambda _: None
    ) -> s.UploadOut:
        """Send a file of rows or of a checkpoint, piece by piece.

        Args:
            open_file: opens it at its beginning; asked again where a busy backend wants it again.
            name: its ending says the format.
            size: bytes.
            progress: told how many bytes have been sent.
        """
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        content = _Pieces(open_file, progress)
        reply = self._send(
            "POST", "/data-sets/uploads", params={"name": name}, content=content, headers=headers, timeout=READING
        )
        return self._read(s.UploadOut, reply)

    def preview_data_set(self, check: s.DataSetCheck) -> Report:
        """What is right and wrong with rows; nothing is kept."""
        body = check.model_dump(mode="json")
        return self._read(Report, self._send("POST", "/data-sets/preview", json=body, timeout=READING))

    def register_data_set(self, create: s.DataSetCreate, *, key: str | None = None) -> Report:
        """Register rows as a data set, whose name is the report's. The same `key` and body get the same reply."""
        body, headers = create.model_dump(mode="json"), {"Idempotency-Key": key or uuid4().hex}
        return self._read(Report, self._send("POST", "/data-sets", json=body, headers=headers, timeout=READING))

    def data_set(self, name: str) -> s.DataSetDetail:
        """One data set."""
        return self._get(f"/data-sets/{name}", s.DataSetDetail)

    def questions(
        self, name: str, split: Split = "test", *, text: str | None = None, cursor: str | None = None, limit: int = 20
    ) -> s.QuestionList:
        """Questions of a data set with their solutions; with a text those that have it in them."""
        return self._get(
            f"/data-sets/{name}/questions", s.QuestionList, split=split, text=text, cursor=cursor, limit=limit
        )

    def delete_data_set(self, name: str, *, confirm: bool = False) -> s.DataSetDeletion:
        """Preview of what deleting a registered data set takes away; with `confirm` it is done."""
        reply = self._send("DELETE", f"/data-sets/{name}", params={"confirm": confirm})
        return self._read(s.DataSetDeletion, reply)


class _Pieces:
    """A file as the body of a request, from its beginning whenever it is sent."""

    def __init__(self, open_file: Callable[[], BinaryIO], progress: Callable[[int], None]) -> None:
        self._open = open_file
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        with self._open() as file:
            while piece := file.read(PIECE):
                yield piece
                sent += len(piece)
                self._progress(sent)
