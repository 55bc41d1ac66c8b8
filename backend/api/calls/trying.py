"""Trying checkpoints out: sessions and their questions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from backend.api import schemas as s
from backend.api.connection import READING, Connection
from memgen.contract.trying import Change


class TryCalls(Connection):
    """Trying checkpoints out: sessions and their questions."""

    def open_try(
        self,
        columns: Sequence[Mapping[str, Any]] = (),
        *,
        checkpoint: int | None = None,
        shared: Mapping[str, Any] | None = None,
        note: str = "",
        key: str | None = None,
    ) -> s.TrySessionDetail:
        """Open a session of these columns, or of those that a checkpoint is good for."""
        body = {
            "columns": [dict(one) for one in columns],
            "checkpoint": checkpoint,
            "shared": dict(shared or {}),
            "note": note,
        }
        return self._post("/try", s.TrySessionDetail, body, key=key)

    def try_sessions(self, limit: int | None = None) -> s.TrySessionList:
        """The newest sessions."""
        return self._get("/try", s.TrySessionList, limit=limit)

    def try_session(self, session_id: int) -> s.TrySessionDetail:
        """One session with its questions."""
        return self._get(f"/try/{session_id}", s.TrySessionDetail)

    def ask(
        self,
        session_id: int,
        question: str,
        *,
        solution: str | None = None,
        column: int | None = None,
        change: Change | None = None,
        key: str | None = None,
    ) -> s.TrySessionDetail:
        """Ask all columns of a session a question, or one of them with a change."""
        body = {
            "question": question,
            "solution": solution,
            "column": column,
            "change": None if change is None else change.model_dump(),
        }
        return self._post(f"/try/{session_id}/questions", s.TrySessionDetail, body, key=key)

    def close_try(self, session_id: int) -> s.TrySessionDetail:
        """Let a session end after the answer under way."""
        return self._post(f"/try/{session_id}/stop", s.TrySessionDetail, {})

    def keep_try(self, session_id: int, kept: bool = True) -> s.TrySessionDetail:
        """Keep a session as a record, or not."""
        return self._post(f"/try/{session_id}/keep", s.TrySessionDetail, {"kept": kept})

    def register_questions(
        self,
        session_id: int,
        name: str,
        *,
        rows: Mapping[int, str | None] | None = None,
        data: str | None = None,
        key: str | None = None,
    ) -> s.TryDataSetOut:
        """Register questions of a session as a data set, whose name is that of the report.

        Args:
            session_id: of the session.
            name: the data set's short name.
            rows: numbers of questions, each with what is right where that is to be mended; None takes all.
            data: data set of a column, whose prompt and kind of answer carry over, where columns differ.
            key: the same key and body get the same reply.
        """
        chosen = None if rows is None else [{"number": one, "solution": text} for one, text in rows.items()]
        body, headers = {"name": name, "rows": chosen, "data": data}, {"Idempotency-Key": key or uuid4().hex}
        reply = self._send("POST", f"/try/{session_id}/data-set", json=body, headers=headers, timeout=READING)
        return self._read(s.TryDataSetOut, reply)

    def follow_try(self, session_id: int) -> Iterator[s.TrySessionDetail]:
        """A session as it changes, until it has ended; each with the questions that are new or have changed.

        Raises, while it is read:
            Unreachable: the backend broke off.
        """
        pieces = self._pieces(f"/try/{session_id}/stream")
        rest = b""
        for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                if line.startswith(b"data: "):
                    yield s.TrySessionDetail.model_validate(json.loads(line.removeprefix(b"data: ")))
