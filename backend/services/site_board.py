"""What is known of the sites now: how the operator describes them, and which of them give trouble."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.executors.executor import Site
from backend.executors.sites import load_sites
from memgen.contract.errors import BadInput


@dataclass(frozen=True)
class _Trouble:
    words: str
    since: float


class SiteBoard:
    """The sites as the operator's file has them, which is read again when it has changed.

    A file that can't be used any more leaves the sites as they were; their trouble says what is wrong with it.

    Args:
        path: the operator's file, if there is one.
        home: folder of everything.
        clock: seconds since 1970.

    Raises:
        BadInput: `bad_sites_file`.
    """

    def __init__(self, path: Path | None, home: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._home = home
        self._clock = clock
        self._sites = load_sites(path, home)
        self._broken = ""
        self._troubles: dict[str, _Trouble] = {}

    @property
    def sites(self) -> Mapping[str, Site]:
        """The sites by their names."""
        try:
            self._sites, self._broken = load_sites(self._path, self._home), ""
        except BadInput as error:
            self._broken = str(error)
        return self._sites

    @property
    def troubles(self) -> dict[str, str]:
        """In a sentence each, why a site is not asked to do anything now; only of those that give trouble."""
        now = self._clock()
        said = {
            name: f"Site {name} has not answered for {now - trouble.since:.0f} s: {trouble.words.rstrip('.')}. "
            "What it has goes on; it is asked again."
            for name, trouble in list(self._troubles.items())
        }
        return said | (dict.fromkeys(self._sites, self._broken) if self._broken else {})

    def answered(self, site: str) -> None:
        """A site answers."""
        self._troubles.pop(site, None)

    def failed(self, site: str, words: str) -> None:
        """A site does not answer, or its folder can't be used."""
        earlier = self._troubles.get(site)
        self._troubles[site] = _Trouble(words, earlier.since if earlier is not None else self._clock())
