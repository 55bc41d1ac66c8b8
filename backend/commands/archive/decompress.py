"""A backup that somebody compressed, unpacked to a plain tar file, but never to one that was made to fill a disk."""

import bz2
import errno
import gzip
import io
import lzma
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from backend.commands.archive.archive import BadArchive

MOST_TIMES, ALWAYS_FINE = 100, 64 * 2**20
"""An archive may unpack to so many times its size, or to so many bytes: a home compresses to a tenth or so, and what
compresses to a thousandth was made to do so."""
PIECE = 2**20
READERS: dict[bytes, Callable[[BinaryIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
"""How a compressed file begins, and what reads it."""


@contextmanager
def decompressed(packed: BinaryIO, folder: Path) -> Iterator[BinaryIO]:
    """The plain tar file: the archive itself, or what it decompresses to.

    Args:
        packed: the archive.
        folder: where the plain file lies, without a name, for as long as it is needed.

    Raises:
        BadArchive: it is cut off, damaged, or decompresses to more than `most_bytes`.
        OSError: the disk is full.
    """
    start = packed.read(6)
    packed.seek(0)
    reader = next((reader for magic, reader in READERS.items() if start.startswith(magic)), None)
    if reader is None:
        yield packed
        return
    most, free = most_bytes(packed), shutil.disk_usage(folder).free
    with tempfile.TemporaryFile("w+b", dir=folder) as plain, reader(packed) as content:
        while piece := _piece(content):
            if plain.tell() + len(piece) > most:
                raise BadArchive(
                    f"it decompresses to more than {MOST_TIMES} times its size; if it is yours, decompress it yourself"
                )
            if plain.tell() + len(piece) > free:  # said before the disk is full for everybody
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            plain.write(piece)
        yield plain


def most_bytes(packed: BinaryIO) -> int:
    """Bytes that may come out of an archive."""
    return max(MOST_TIMES * os.fstat(packed.fileno()).st_size, ALWAYS_FINE)


def _piece(content: io.BufferedIOBase) -> bytes:
    try:
        return content.read(PIECE)
    except (EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
        raise BadArchive(f"it can't be decompressed: {error}") from None
    except OSError as error:
        if error.errno is not None:  # the disk's, not the format's
            raise
        raise BadArchive(f"it can't be decompressed: {error}") from None
