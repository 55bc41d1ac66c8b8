"""Addresses of channels: secrets, as whoever has one can speak in its name; a file each, for the backend alone.

They are not in the database, since that is in every backup. A file is written before the row that names it is
committed and removed after the row has gone, so that a crash leaves at most a file that nobody names.
"""

import secrets
import threading
from collections.abc import Collection
from pathlib import Path

from memgen.contract.rundir import write_whole
from memgen.contract.service_files import channel_addresses_dir


class ChannelAddresses:
    """The addresses of a home.

    Args:
        home: folder of everything.
    """

    def __init__(self, home: Path) -> None:
        self._folder = channel_addresses_dir(home)
        self.changing = threading.Lock()
        """Held from before an address is kept until its row is committed: until then nobody names it."""

    def keep(self, address: str) -> str:
        """Store an address; returns the key by which it is found."""
        key = secrets.token_hex(16)
        write_whole(self._folder / key, address)
        return key

    def find(self, key: str) -> str | None:
        """The address of a key; None where it is not there, as in a restored home."""
        try:
            return (self._folder / key).read_text(encoding="utf-8") if key else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def has(self, key: str) -> bool:
        """Whether the address of a key is there."""
        return bool(key) and (self._folder / key).is_file()

    def forget_all_but(self, keys: Collection[str]) -> None:
        """Remove what no channel names."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in keys:
                    path.unlink(missing_ok=True)
