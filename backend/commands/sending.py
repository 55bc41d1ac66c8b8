"""Sending files of this machine to the backend."""

from pathlib import Path

from backend.api.client import Client
from backend.launcher.terminal import say

SHOWN_BYTES = 16 * 2**20  # between two words of a long upload's progress


def send(api: Client, path: Path, name: str) -> str:
    """Upload a file, saying how far a large one is; returns its id."""
    size = path.stat().st_size
    return api.upload(lambda: path.open("rb"), name, size, _Progress(size)).id


class _Progress:
    """Says how much of a large file was sent."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = SHOWN_BYTES

    def __call__(self, sent: int) -> None:
        if sent >= self._next and self._size > SHOWN_BYTES:
            say(f"sent {sent / 1e6:,.0f} of {self._size / 1e6:,.0f} MB")
            self._next = sent + SHOWN_BYTES
