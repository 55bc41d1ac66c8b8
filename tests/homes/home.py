"""The populated home of the version whose database had schema 3, and what its API said of it."""

import importlib.metadata
import json
import math
import platform
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SAID: dict[str, Any] = json.loads((HERE / "schema-3.json").read_text())
TRAINING, ANSWERING, QUEUED = 8, 9, 10
"""Runs that were saved and stopped, and one that waits in a paused queue."""
BASE = "folder:537e2cf94c8599b4"
"""What its runs call the tiny base."""


def unpack(home: Path) -> None:
    """Put it into a folder, as if it had been made on this machine: answers go on only where they were begun."""
    with tarfile.open(HERE / "schema-3.tar.gz") as archive:
        archive.extractall(home, filter="fully_trusted")
    path = home / "runs" / str(ANSWERING) / "attempts" / "1" / "environment.json"
    here = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
    here |= {"device": f"cpu ({platform.machine()})"}
    path.write_text(json.dumps(json.loads(path.read_text()) | here))


def says_more(reply: Any, said: Any) -> bool:
    """Whether a reply says what was said; later fields and the last bit of a number make no difference."""
    if isinstance(said, dict):
        return isinstance(reply, dict) and all(name in reply and says_more(reply[name], said[name]) for name in said)
    if isinstance(said, list):
        return len(reply) == len(said) and all(says_more(one, other) for one, other in zip(reply, said, strict=True))
    if isinstance(said, float):
        return isinstance(reply, float) and math.isclose(reply, said, rel_tol=1e-12)
    return bool(reply == said)
