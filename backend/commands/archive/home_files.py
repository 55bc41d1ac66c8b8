"""What of a home goes into a backup, and what stays out, each with its reason."""

import os
from collections.abc import Iterator
from pathlib import Path

from backend.commands.archive.archive import (
    ABOUT,
    BACKING_UP,
    DATABASE,
    FOLDERS,
    LEFT_OUT,
    LOST_AND_FOUND,
    MODELS,
    RESTORING,
    TABLE,
    link_problem,
    name_problem,
    stays_out,
)
from memgen.contract.errors import BadInput


class HomeFiles:
    """All files and links of a home that go into a backup, and its empty folders; may be gone through again.

    Args:
        home: folder of everything.
        models: whether converted weights go in, too.
    """

    def __init__(self, home: Path, *, models: bool) -> None:
        self.home = home
        self._models = models
        self.skipped: dict[Path, str] = {}
        """What stays out though a user might look for it in a backup, and why."""

    def __iter__(self) -> Iterator[Path]:
        """Go through them.

        Raises:
            BadInput: `unreadable`.
        """
        return self._below(self.home)

    def link_target(self, path: Path) -> Path | None:
        """Where a link points, seen from the home; None for what is no link.

        Raises:
            BadInput: `link_leaves_home`.
        """
        target = _named_by(path)
        if target is None:
            return None
        if not target.is_relative_to(self.home):
            raise BadInput(
                "link_leaves_home",
                f"this link leads out of the home folder, to {str(target)!r}",
                field="MEMGEN_HOME",
                value=path,
                way_out="Move what it points at into the home, or remove the link; only a folder directly below the "
                "home may be such a link, and must be there.",
            )
        return target.relative_to(self.home)

    def cannot_read(self, path: Path, error: OSError) -> None:
        """Skip what the service did not make, as a backup is whole without it.

        Raises:
            BadInput: `unreadable`, if it is the service's.
        """
        if not _is_foreign(path.relative_to(self.home).parts):
            raise BadInput(
                "unreadable",
                f"this can't be read, and the backup would not be whole: {error.strerror}",
                field="MEMGEN_HOME",
                value=path,
                way_out="Make it readable for the user of this command, or move it out of the home.",
            ) from error
        self.skipped[path] = f"it can't be read ({error.strerror}), and the service did not make it"

    def _below(self, folder: Path) -> Iterator[Path]:
        try:
            paths = [path for path in folder.iterdir() if self._goes_in(path)]
        except (FileNotFoundError, NotADirectoryError):  # deleted meanwhile
            return
        except OSError as error:
            self.cannot_read(folder, error)
            return
        if not paths and not folder.is_symlink():
            yield folder
        for path in sorted(paths):
            try:
                is_folder = self._is_folder(path)
            except OSError as error:
                self.cannot_read(path, error)
                continue
            if is_folder:
                yield from self._below(path)
            else:
                yield path

    def _goes_in(self, path: Path) -> bool:
        parts = path.relative_to(self.home).parts
        if "/".join(parts) in LEFT_OUT or parts == Path(DATABASE).parts or (parts == (MODELS,) and not self._models):
            return False
        if path.name.startswith((BACKING_UP, RESTORING)) and stays_out(parts):
            return False
        problem = name_problem(parts)
        if path.name == LOST_AND_FOUND:
            problem = "it belongs to the file system"
        elif stays_out(parts):
            problem = "of the backend's folder only the database and the logs are in a backup"
        elif parts in {(ABOUT,), (TABLE,)}:
            problem = "each backup has a file of its own with this name"
        elif "/".join(parts) in FOLDERS and path.is_file():
            problem = "a file where the service has a folder"
        elif (target := _named_by(path)) is not None and target.is_relative_to(self.home):
            problem = problem or link_problem(parts, target.relative_to(self.home).parts)
        if problem:
            self.skipped[path] = problem
        return not problem

    def _is_folder(self, path: Path) -> bool:
        """Whether this is a folder, or a link directly below the home to a folder that lies elsewhere."""
        if not path.is_symlink():
            return path.is_dir()
        if path.parent != self.home or not path.is_dir():
            return False
        place = path.resolve()
        return not place.is_relative_to(self.home) and not self.home.is_relative_to(place)


def _named_by(link: Path) -> Path | None:
    """The place that a link names, whatever lies there; None for what is no link, or gone."""
    try:
        return Path(os.path.normpath(link.parent / link.readlink()))
    except OSError:
        return None


def _is_foreign(parts: tuple[str, ...]) -> bool:
    """Whether the service never makes something of this name, wherever in the home a disk begins."""
    if not parts:
        return False
    in_runs = parts[0] == "runs" and len(parts) > 1 and not parts[1].isdecimal()
    return parts[0] not in FOLDERS or in_runs or any(part.startswith(".") for part in parts)
