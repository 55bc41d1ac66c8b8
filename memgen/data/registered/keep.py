"""Rows of a user's become a data set: written into the home whole or not at all, under the hash of what they hold."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from memgen.contract.data_sets.registered import RegisteredRecord, Registration, Source
from memgen.contract.data_sets.registry import data_sets
from memgen.contract.data_sets.report import Refused, Report
from memgen.contract.errors import BadInput
from memgen.contract.rundir import write_json
from memgen.contract.service_files import data_set_record, data_set_rows, registered_dir
from memgen.data.registered.examine import Examined, Given, KeptRow, examine


def preview(files: Sequence[Given], said: Registration) -> Report:
    """What `register` would say and do, without doing it.

    Raises:
        BadInput: as `examine`.
    """
    found = examine(files, said)
    return found.report if found.report.problems else _named(found, _record(found, files, said, 0.0))


def register(files: Sequence[Given], said: Registration, home: Path, clock: Callable[[], float]) -> Report:
    """Keep rows as a data set; the same rows under the same name again are the data set that is there.

    Args:
        files: of the user's; they are read and not kept.
        said: what the user says of them.
        home: folder of everything.
        clock: seconds since 1970.

    Returns:
        The report, with the name that configs say.

    Raises:
        Refused: with every reason.
        BadInput: as `examine`; `name_taken`; `disk_full`.
    """
    if said.name in data_sets():
        raise BadInput(
            "name_taken", "a data set has this name", field="name", value=said.name, way_out="Choose another name."
        )
    found = examine(files, said)
    if found.report.problems:
        raise Refused(found.report)
    record = _record(found, files, said, clock())
    folder = registered_dir(home) / record.name
    if not folder.exists():
        _write(found, record, folder)
    return _named(found, record)


def _named(found: Examined, record: RegisteredRecord) -> Report:
    return found.report.model_copy(update={"name": record.name})


def _record(found: Examined, files: Sequence[Given], said: Registration, created: float) -> RegisteredRecord:
    report = found.report
    assert report.longest is not None and report.fullest is not None
    digest = sha256()
    for line in _lines(found.rows):
        digest.update(line)
    return RegisteredRecord(
        registration=said,
        sizes=report.sizes,
        longest=report.longest,
        fullest=report.fullest,
        rows_sha256=digest.hexdigest(),
        left_out=report.left_out,
        unscored=report.num_unscored,
        sources=tuple(_source(one) for one in files),
        created=created,
    )


def _source(file: Given) -> Source:
    with file.path.open("rb") as opened:
        digest = sha256()
        while piece := opened.read(2**20):
            digest.update(piece)
        return Source(name=file.name, bytes=opened.tell(), sha256=digest.hexdigest(), split=file.split)


def _lines(rows: Sequence[KeptRow]) -> Iterator[bytes]:
    """Each row as JSON, always in the same bytes: their hash is the data set's version."""
    for one in rows:
        row = one.row
        fields = {"split": one.split, "question": row.question, "rationale": row.rationale, "answer": row.answer}
        yield json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write(found: Examined, record: RegisteredRecord, folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    except OSError as error:
        raise _no_room(folder, error) from error
    try:
        with data_set_rows(work).open("wb") as file:
            file.writelines(_lines(found.rows))
            file.flush()
            os.fsync(file.fileno())
        write_json(data_set_record(work), record.model_dump(mode="json"))
        work.rename(folder)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        if not data_set_record(folder).exists():  # another process may have kept the same rows meanwhile
            raise _no_room(folder, error) from error
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _no_room(folder: Path, error: OSError) -> BadInput:
    return BadInput(
        "disk_full" if error.errno == 28 else "bad_home",
        f"the rows can't be written: {error.strerror}",
        field="MEMGEN_HOME",
        value=folder.parent,
        way_out="Make room on its disk, and see that this user may write there.",
    )
