"""Archives made by hand, block by block: `tarfile` would not write most of these."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from backend.commands.archive.archive import ABOUT, DATABASE, TABLE, Line

BLOCK = 512
END = bytes(2 * BLOCK)
FINE: dict[str, object] = {"format": 1, "version": "0.1.0", "time": 1.8e9, "runs": 0}


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def header(name: str | bytes, *, kind: bytes = b"0", size: int = 0, linkname: str = "", **fields: Any) -> bytes:
    """A header; a name of bytes stands in it as it is, NUL and all."""
    info = tarfile.TarInfo("x" if isinstance(name, bytes) else name)
    info.type, info.size, info.linkname = kind, size, linkname
    for field, value in fields.items():
        setattr(info, field, value)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT)[-BLOCK:])
    if isinstance(name, bytes):
        block[:100] = name.ljust(100, b"\0")
    return checked(block)


def checked(block: bytes | bytearray) -> bytes:
    """The same header with the checksum that it must have."""
    block = bytearray(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: str | bytes, content: bytes = b"", **fields: Any) -> bytes:
    """A file, or what `kind` says, with its content."""
    return header(name, size=fields.pop("size", len(content)), **fields) + padded(content)


def link(name: str, target: str) -> bytes:
    return header(name, kind=b"2", linkname=target)


def hard_link(name: str, target: str) -> bytes:
    return header(name, kind=b"1", linkname=target)


def pax(**records: str) -> bytes:
    """An extended header for the member after it."""
    return pax_of("".join(_record(name, value) for name, value in records.items()).encode())


def pax_of(content: bytes, **fields: Any) -> bytes:
    return member("pax", content, kind=b"x", **fields)


def gnu_long(kind: bytes, text: bytes, **fields: Any) -> bytes:
    return member("././@LongLink", text, kind=kind, **fields)


def _record(name: str, value: str) -> str:
    rest = f" {name}={value}\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return f"{length}{rest}"


def about(text: str | None = None, **changes: object) -> bytes:
    return member(ABOUT, (json.dumps(FINE | changes) if text is None else text).encode())


def archive(database: bytes, *members: bytes, first: bytes | None = None) -> bytes:
    """A whole archive of the first format: what it says of itself, a database, and more."""
    return (about() if first is None else first) + member(DATABASE, database) + b"".join(members) + END


def with_table(first_format: bytes, **changes: object) -> bytes:
    """The same archive in the second format, with a true table; `changes` are made to each line of a file."""
    lines, out = [], io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(first_format)) as tar, tarfile.open(fileobj=out, mode="w") as new:
        for info in tar:
            content = tar.extractfile(info).read() if info.isreg() else b""  # type: ignore[union-attr]
            if info.name == ABOUT:
                content = json.dumps(json.loads(content) | {"format": 2}).encode()
                info.size = len(content)
            new.addfile(info, io.BytesIO(content) if info.isreg() else None)
            fields: dict[str, Any] = {"size": info.size, "link": info.linkname or None}
            if info.isreg():
                fields |= {"sha256": hashlib.sha256(content).hexdigest()} | changes
            lines.append(str(Line(info.name, **fields)))
        table = tarfile.TarInfo(TABLE)
        table.size = len("".join(lines).encode())
        new.addfile(table, io.BytesIO("".join(lines).encode()))
    return out.getvalue()


def tree(folder: Path) -> dict[str, object]:
    """All that lies in a folder, with contents and targets of links."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }
