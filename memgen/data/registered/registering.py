"""Registering files of this machine in a home, as the command line of the core does."""

from collections.abc import Callable, Sequence
from pathlib import Path

from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.registered import Registration
from memgen.contract.data_sets.report import Report
from memgen.contract.home import open_home
from memgen.data.registered.examine import Given, peek
from memgen.data.registered.files import given_files
from memgen.data.registered.keep import preview, register


class Registering:
    """Looks at rows and keeps them.

    Args:
        home: folder of everything.
        clock: seconds since 1970.
    """

    def __init__(self, home: Path, clock: Callable[[], float]) -> None:
        self._home = home
        self._clock = clock

    def peek(self, files: Sequence[tuple[str, Split | None]]) -> Report:
        """Columns and first rows of files or folders."""
        return peek(_given(files))

    def preview(self, files: Sequence[tuple[str, Split | None]], said: Registration) -> Report:
        """What `add` would say."""
        return preview(_given(files), said)

    def add(self, files: Sequence[tuple[str, Split | None]], said: Registration) -> Report:
        """Keep the rows."""
        open_home(self._home)
        return register(_given(files), said, self._home, self._clock)


def _given(files: Sequence[tuple[str, Split | None]]) -> list[Given]:
    return [one for path, split in files for one in given_files(Path(path), split)]
