"""What an archive holds, as its headers and its table say, checked before anything of it is written."""

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from backend.commands.archive.archive import (
    ABOUT,
    DATABASE,
    FOLDERS,
    MODELS,
    TABLE,
    About,
    BadArchive,
    Line,
    name_problem,
    read_about,
    read_line,
    shown,
    stays_out,
)
from backend.commands.archive.tar_reader import MOST_EXTRA, Member, members, read_small


@dataclass
class Contents:
    """Names below the home, each that of one thing, and none beneath something that is no folder."""

    about: About
    files: dict[str, Member] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    """With all above them."""
    links: dict[str, str] = field(default_factory=dict)
    """Of each link the name that it points at, seen from the home and without `..`."""
    hashes: dict[str, str] | None = None
    """Of each file; None for an archive that carries none."""
    left_out: list[str] = field(default_factory=list)
    """What is in the archive and is not restored."""

    @property
    def num_bytes(self) -> int:
        """Room that the files take on a disk."""
        return sum(-(-file.size // 4096) * 4096 for file in self.files.values())


def read_contents(archive: BinaryIO, *, models: bool) -> Contents:
    """Read all headers, and the table.

    Args:
        archive: a plain tar file.
        models: whether its converted weights are wanted.

    Raises:
        BadArchive: it is damaged, or holds what no backup holds.
    """
    everything = members(archive)
    first = next(everything, None)
    if first is None or first.name != ABOUT or first.kind != "file":
        raise BadArchive(f"it does not begin with {ABOUT}")
    contents = Contents(read_about(read_small(archive, first)))
    listed: dict[str, Member] = {ABOUT: first}
    table = _collect(everything, listed, has_table=contents.about.format > 1)
    if table is not None:
        contents.hashes = _check_table(archive, table, listed)
    elif contents.about.format > 1:
        raise BadArchive(f"its table {TABLE} is missing")
    del listed[ABOUT]
    for name, member in listed.items():
        parts = name.split("/")
        if stays_out(parts) or (parts[0] == MODELS and not models):
            contents.left_out.append(name)
        else:
            _put(contents, member)
    for name in contents.folders:
        if name in contents.files or name in contents.links:
            raise BadArchive(f"{shown(name)} is a folder in it, and also a file or a link")
    for name in FOLDERS:
        if name in contents.files:
            raise BadArchive(f"{name} is a file in it; it must be a folder")
    if DATABASE not in contents.files:
        raise BadArchive(f"it holds no {DATABASE}")
    return contents


def _collect(everything: Iterator[Member], listed: dict[str, Member], *, has_table: bool) -> Member | None:
    """Add all members up to the table, which must be the last; returns it."""
    for member in everything:
        name = member.name
        if name == TABLE and not has_table:
            raise BadArchive(f"its description is of the first format, which has no {TABLE}, and here is one")
        if name == TABLE:
            following = next(everything, None)
            if following is not None:
                raise BadArchive(f"{shown(following.name)} stands after its table of files")
            return member
        problem = name_problem(name.split("/"))
        if problem:
            raise BadArchive(f"it holds {shown(name)}: {problem}")
        earlier = listed.get(name)
        if earlier is not None and not earlier.kind == member.kind == "folder":
            raise BadArchive(f"it holds {shown(name)} twice")
        if member.kind == "hard link":
            member = _resolved(member, listed)
        listed[name] = member
    return None


def _resolved(member: Member, listed: dict[str, Member]) -> Member:
    """A second name of an earlier file as a file of its own, as a link in the file system could point anywhere."""
    same = listed.get(member.target)
    if same is None or same.kind != "file":
        raise BadArchive(f"{shown(member.name)} is a hard link to {shown(member.target)}, no file before it")
    return replace(member, kind="file", size=same.size, offset=same.offset)


def _check_table(archive: BinaryIO, table: Member, listed: dict[str, Member]) -> dict[str, str]:
    """Compare the table with what is there; returns the hashes of files."""
    left = {name: Line(name, size=member.size, link=member.target or None) for name, member in listed.items()}
    hashes = {}
    archive.seek(table.offset)
    end = table.offset + table.size
    while archive.tell() < end:
        line = read_line(archive.readline(min(MOST_EXTRA, end - archive.tell())))
        name = line.name if isinstance(line.name, str) else ""
        if left.pop(name, None) != replace(line, sha256=None):
            raise BadArchive(f"its table says something else of {shown(name)} than the archive holds")
        if listed[name].kind == "file":
            hashes[name] = str(line.sha256)
    if left:
        raise BadArchive(f"its table says nothing of {shown(next(iter(left)))}")
    if table.kind != "file":
        raise BadArchive(f"its table {TABLE} is no file")
    return hashes


def _put(contents: Contents, member: Member) -> None:
    name = member.name
    folder = name if member.kind == "folder" else posixpath.dirname(name)
    while folder and folder not in contents.folders:
        contents.folders.add(folder)
        folder = posixpath.dirname(folder)
    if member.kind == "file":
        contents.files[name] = member
    elif member.kind == "link":
        # as a name from the home, so that no `..` is left that could lead out by way of another link
        target = os.path.normpath(posixpath.join(posixpath.dirname(name), member.target))
        if not member.target or (target != "." and name_problem(target.split("/"))):
            raise BadArchive(f"the link {shown(name)} in it leads to {shown(member.target)}, out of the home")
        contents.links[name] = target
