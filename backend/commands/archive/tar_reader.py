"""Headers of a tar file, read one by one without trusting any.

`tarfile` parses a single header here, 512 bytes with a checksum, and no more: the versions of it that are in use
believe lengths and sizes, and what they unpack can land outside (CVE-2025-4517, CVE-2025-8194). The only extensions are
those for long names and large sizes. Nothing of a file's content is read.
"""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from backend.commands.archive.archive import BadArchive, shown

BLOCK = tarfile.BLOCKSIZE
MOST_EXTRA = 32 * 1024
"""Bytes of a header that carries a long name; the longest that we write has about 5,000."""
EXTRA = (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)

Kind = Literal["file", "folder", "link", "hard link"]
_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hard link",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One file, folder or link of a tar file, as its header has it."""

    name: str
    kind: Kind
    size: int
    """Bytes of a file; of everything else 0."""
    offset: int
    """Where they begin."""
    time: int
    """Of the last change, seconds since 1970."""
    target: str = ""
    """Of a link."""


def members(file: BinaryIO) -> Iterator[Member]:
    """All members of a plain tar file, in its order.

    Raises:
        BadArchive: no tar file, cut off, or with a member that no backup holds.
    """
    end = file.seek(0, os.SEEK_END)
    place = 0
    extra: dict[str, str] = {}
    while (header := _header(file, place)) is not None:
        size = _size(header, extra)
        data = place + BLOCK
        place = data + -(-size // BLOCK) * BLOCK
        if place > end:
            raise BadArchive(f"it is cut off: {shown(header.name)} has {size} bytes, and the archive ends before them")
        if header.type in EXTRA:
            extra |= _extra(header, _read(file, data, size))
        else:
            yield _member(header, extra, size, data)
            extra = {}
    if extra:
        raise BadArchive("a header at its end belongs to no file")


def read_small(file: BinaryIO, member: Member) -> bytes:
    """The content of a member.

    Raises:
        BadArchive: it is larger than a header may be.
    """
    return _read(file, member.offset, member.size)


def _header(file: BinaryIO, place: int) -> tarfile.TarInfo | None:
    """The header at a place; None at the mark of the archive's end."""
    block = _read(file, place, BLOCK)
    if not block.strip(b"\0") and len(block) == BLOCK:
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if len(block) < BLOCK and place:
            raise BadArchive(f"it is cut off after {place} bytes") from None
        raise BadArchive(f"no header of a tar file at byte {place} ({error})") from None


def _size(header: tarfile.TarInfo, extra: dict[str, str]) -> int:
    is_extra = header.type in EXTRA
    size = header.size if is_extra else int(extra.get("size", header.size))
    if size < 0 or (size and not is_extra and _KINDS.get(header.type) != "file"):
        raise BadArchive(f"{shown(header.name)} can't have {size} bytes")
    return size


def _member(header: tarfile.TarInfo, extra: dict[str, str], size: int, data: int) -> Member:
    name = extra.get("path", header.name)
    if header.type not in _KINDS:
        raise BadArchive(f"{shown(name)} is of type {header.type!r}: neither file, folder nor link")
    kind = _KINDS[header.type]
    target = extra.get("linkpath", header.linkname) if kind in {"link", "hard link"} else ""
    name = name.removesuffix("/") if kind == "folder" else name
    return Member(name, kind, size, data, int(header.mtime), target)


def _extra(header: tarfile.TarInfo, content: bytes) -> dict[str, str]:
    """Name, target of a link or size that a header carries for the one after it."""
    if header.type == tarfile.XHDTYPE:
        return _pax(content)
    name = "path" if header.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
    return {name: content.removesuffix(b"\0").decode("utf-8", "surrogateescape")}


def _pax(content: bytes) -> dict[str, str]:
    """Fields of an extended header: each is `LENGTH NAME=VALUE` and a line break, its own length included."""
    fields = {}
    while content:
        digits = content[:6].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        name, equals, value = content[len(digits) + 1 : length].partition(b"=")
        if not equals or length > len(content) or not value.endswith(b"\n"):
            raise BadArchive("an extended header in it is damaged")
        content = content[length:]
        if name.startswith(b"GNU.sparse"):
            raise BadArchive("a file in it has holes, which no backup writes")
        if name in {b"path", b"linkpath", b"size"}:
            fields[name.decode()] = value[:-1].decode("utf-8", "surrogateescape")
    if not fields.get("size", "0").isdecimal() or len(fields.get("size", "")) > 20:
        raise BadArchive(f"an extended header in it names the size {shown(fields['size'])}")
    return fields


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    if size > MOST_EXTRA:
        raise BadArchive(f"{size} bytes are claimed for what describes a file or the archive")
    file.seek(place)
    return file.read(size)
