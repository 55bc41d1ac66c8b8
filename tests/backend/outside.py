"""Checkpoints that come from outside, sent as a user sends them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.backend.conftest import Backend
from tests.conftest import TINY


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def send(backend: Backend, files: Mapping[str, bytes], *, key: str = "", **said: Any) -> httpx.Response:
    sent = []
    for path, content in files.items():
        reply = backend.user("POST", "/data-sets/uploads", params={"name": "file"}, content=content)
        assert reply.status_code == 201, reply.text
        sent.append({"upload": reply.json()["id"], "path": path})
    headers = {"Idempotency-Key": key} if key else {}
    body = {"files": sent, "name": "mine", "preset": TINY} | said
    return backend.user("POST", "/checkpoints", json=body, headers=headers)


def added(backend: Backend, folder: Path, **said: Any) -> int:
    reply = send(backend, files_of(folder), **said)
    assert reply.status_code == 201, reply.text
    return int(reply.json()["id"])
