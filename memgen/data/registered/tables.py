"""Rows of JSON lines, CSV and Parquet files that anybody may have written: each within bounds, or refused by number.

Knows nothing of what the columns mean.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from memgen.contract.errors import BadInput
from memgen.contract.json_file import MARK, Unreadable, parse_json, read_lines

Format = Literal["JSON lines", "CSV", "Parquet"]
MOST_LINE = 2**20
"""Bytes of a line."""
MOST_ROW = 4 * 2**20  # bytes of a row of CSV that goes over several lines
MOST_FIELD = 131_072  # characters; the csv module's own limit, which is one for the whole process
MOST_COLUMNS = 1_000
MOST_UNPACKED = 4 * 2**30  # bytes of a Parquet file
BATCH = 256  # rows of a Parquet file that are in memory at a time
HEAD = 65_536  # bytes that are looked at to tell a format
SUFFIXES: dict[str, Format] = {
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".json": "JSON lines",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
}
_DELIMITERS = ",;\t|"


class Row(NamedTuple):
    """A row, or why there is none."""

    number: int
    values: dict[str, Any] | None
    problem: str = ""


class Table:
    """One file.

    Args:
        path: where it lies.
        name: as the user knows it; its ending says the format.

    Raises:
        BadInput: `unknown_format`, `no_text`, `bad_file`.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.name = name
        try:
            with path.open("rb") as file:
                head = file.read(HEAD)
        except OSError as error:
            raise self._bad(f"it can't be read: {error.strerror}") from error
        self.format: Format = self._format(head)
        self.columns: tuple[str, ...] = ()
        """Names of the columns; of JSON lines the keys of the first rows."""
        if self.format == "CSV":
            self._delimiter = _delimiter(head)
            self.columns = self._header()
        elif self.format == "Parquet":
            self.columns = tuple(self._parquet().schema_arrow.names)
        else:
            self.columns = self._keys(head)
        if not self.columns:
            raise self._bad("it has no rows")
        if len(self.columns) > MOST_COLUMNS:
            raise self._bad(f"it has {len(self.columns):,} columns, and at most {MOST_COLUMNS:,} are read")

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """Its rows in their order; after one that hides where the next begins there is no other.

        Args:
            columns: what is needed of each row; None is all.
        """
        if self.format == "CSV":
            yield from self._csv_rows()
        elif self.format == "Parquet":
            yield from self._parquet_rows(columns)
        else:
            yield from self._json_rows()

    def _format(self, head: bytes) -> Format:
        if not head.strip():
            raise self._bad("it is empty")
        suffix = Path(self.name).suffix.lower()
        chosen: Format | None = "Parquet" if head.startswith(b"PAR1") else SUFFIXES.get(suffix)
        if chosen is None:
            raise BadInput(
                "unknown_format",
                "the ending of its name does not say what this file is",
                field="file",
                value=self.name,
                way_out=f"Files of these endings are read: {', '.join(SUFFIXES)}.",
            )
        if chosen == "Parquet":
            if not head.startswith(b"PAR1"):
                raise self._bad("it is no Parquet file: it does not begin with PAR1")
            return chosen
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise self._bad("it is UTF-16", "Save it as UTF-8.")
        if b"\0" in head:
            raise BadInput(
                "no_text",
                "this file is no text",
                field="file",
                value=self.name,
                way_out="Send JSON lines or CSV in UTF-8, or a Parquet file.",
            )
        if chosen == "JSON lines" and head.removeprefix(MARK).lstrip().startswith(b"["):
            raise self._bad("it is one JSON array", "Write one object per line.")
        return chosen

    # JSON lines

    def _json_rows(self) -> Iterator[Row]:
        for number, line in read_lines(self._path, MOST_LINE):
            if len(line) > MOST_LINE:
                yield Row(number, None, f"the line is longer than {MOST_LINE:,} bytes")
                continue
            try:
                value = parse_json(line)
            except Unreadable as error:
                yield Row(number, None, str(error))
                continue
            if isinstance(value, dict):
                yield Row(number, value)
            else:
                yield Row(number, None, "the line is not a JSON object")

    def _keys(self, head: bytes) -> tuple[str, ...]:
        lines = head.count(b"\n") or 1
        keys: dict[str, None] = {}
        for number, values, _ in self._json_rows():
            keys |= dict.fromkeys(values or {})
            if number >= lines and keys:
                break
        return tuple(keys)

    # CSV

    def _header(self) -> tuple[str, ...]:
        with self._open() as file:
            lines = _Lines(file)
            try:
                header = next(csv.reader(lines, delimiter=self._delimiter, strict=True), [])
            except (csv.Error, UnicodeDecodeError, ValueError) as error:
                raise self._bad(f"its header can't be read: {_csv_reason(error)}") from None
        names = [name.strip() or f"column {place}" for place, name in enumerate(header, start=1)]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(names) <= MOST_COLUMNS else []
        if twice:
            raise self._bad(f"two of its columns are named {twice[0][:100]!r}", "Give each column a name of its own.")
        return tuple(names)

    def _csv_rows(self) -> Iterator[Row]:
        number = 0
        with self._open() as file:
            lines = _Lines(file)
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            while True:
                lines.begin_row()
                try:
                    fields = next(reader, None)
                except (csv.Error, UnicodeDecodeError, ValueError) as error:
                    yield Row(number or 1, None, f"{_csv_reason(error)}, so the rows after it can't be told apart")
                    return
                if fields is None:
                    return
                if not any(field.strip() for field in fields) and len(fields) <= 1:
                    continue  # a blank line
                if number == 0:
                    number = 1  # the header
                    continue
                if len(fields) == len(self.columns):
                    yield Row(number, dict(zip(self.columns, fields, strict=True)))
                else:
                    yield Row(number, None, f"it has {len(fields)} fields, and the header {len(self.columns)}")
                number += 1

    def _open(self) -> BinaryIO:
        return self._path.open("rb")

    # Parquet

    def _parquet(self) -> Any:
        try:
            import pyarrow.parquet as pq  # takes a second: only those pay who read such a file
        except ImportError as error:
            raise BadInput(
                "no_parquet",
                "Parquet files are read by the package pyarrow, which is not installed here",
                field="file",
                value=self.name,
                way_out="Install memgen-studio[service] or memgen-studio[worker], which bring it, or send JSON lines "
                "or CSV.",
            ) from error
        try:
            file = pq.ParquetFile(self._path)
            groups = [file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)]
        except Exception as error:  # of a damaged file: a dozen unrelated classes
            raise self._bad(f"it is no whole Parquet file: {_short(error)}") from error
        if sum(groups) > MOST_UNPACKED:
            raise self._bad(f"unpacked it has {sum(groups):,} bytes, and at most {MOST_UNPACKED:,} are read")
        return file

    def _parquet_rows(self, columns: Sequence[str] | None) -> Iterator[Row]:
        number = 0
        try:
            batches = self._parquet().iter_batches(BATCH, columns=columns, use_threads=False)
            for batch in batches:
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, values)
        except BadInput:
            raise
        except Exception as error:
            yield Row(number + 1, None, f"it can't be read ({_short(error)}), nor can the rows after it")

    def _bad(self, reason: str, way_out: str = "Send another file.") -> BadInput:
        return BadInput(
            "bad_file", f"this file can't be used: {reason}", field="file", value=self.name, way_out=way_out
        )


class _Lines:
    """The lines of a CSV file, none of them, and no row made of several, longer than a bound.

    Each is decoded by itself, so that a byte that is no UTF-8 is found in its row.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._taken = 0
        self._begun = False

    def begin_row(self) -> None:
        """What was read so far belongs to rows before."""
        self._taken = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(MOST_LINE + 1)
        if not line:
            raise StopIteration
        if not self._begun:
            line, self._begun = line.removeprefix(MARK), True
        self._taken += len(line)
        if len(line) > MOST_LINE:
            raise ValueError(f"a line has more than {MOST_LINE:,} bytes")
        if self._taken > MOST_ROW:
            raise ValueError(f"it has more than {MOST_ROW:,} bytes; perhaps a quotation mark is not closed")
        return line.decode()


def _csv_reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it holds the byte {error.object[error.start]:#04x}, which is no UTF-8"
    text = str(error)
    if "field larger than field limit" in text:
        return f"a field has more than {MOST_FIELD:,} characters; perhaps a quotation mark is not closed"
    return text.replace("unexpected end of data", "a quotation mark is not closed")


def _delimiter(head: bytes) -> str:
    """The sign that parts the fields of the header: that which occurs most in it outside quotation marks."""
    first = next((line for line in head.decode("utf-8-sig", "replace").splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max(_DELIMITERS, key=bare.count)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}"
