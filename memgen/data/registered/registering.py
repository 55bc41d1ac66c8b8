"""Registering files of this machine in a home, as the command line of the core does."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from memgen.contract.data_sets.hub_rows import HubRows
from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.registered import Registration
from memgen.contract.data_sets.report import Report
from memgen.contract.home import open_home
from memgen.data.registered.examine import Given, peek
from memgen.data.registered.files import given_files
from memgen.data.registered.hub_files import hub_files
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
        """Columns and first rows of files or folders, or of `hub:OWNER/NAME`."""
        with _given(files) as given:
            return peek(given)

    def preview(self, files: Sequence[tuple[str, Split | None]], said: Registration) -> Report:
        """What `add` would say."""
        with _given(files) as given:
            return preview(given, said)

    def add(self, files: Sequence[tuple[str, Split | None]], said: Registration) -> Report:
        """Keep the rows."""
        open_home(self._home)
        with _given(files) as given:
            return register(given, said, self._home, self._clock)


@contextmanager
def _given(files: Sequence[tuple[str, Split | None]]) -> Iterator[list[Given]]:
    with TemporaryDirectory(prefix="memgen-rows-") as work:
        given: list[Given] = []
        for place, (text, split) in enumerate(files):
            rows = HubRows.parse(text)
            if rows is None:
                given += given_files(Path(text), split)
            else:
                folder = Path(work) / str(place)
                folder.mkdir()
                given += hub_files(rows, folder, split)
        yield given
