"""The rows of a registered data set, as they were registered."""

import hashlib
from pathlib import Path

from memgen.contract.data_sets.registered import RegisteredRecord, read_record
from memgen.contract.errors import BadInput
from memgen.contract.json_file import Unreadable, lines_of, parse_json
from memgen.contract.service_files import data_set_rows
from memgen.data.questions import Question, make_question


def load(split: str, seed: int, folder: Path | None) -> list[Question]:  # noqa: ARG001  # its splits were drawn once
    """The questions of one split, in the order of the user's file.

    Args:
        split: of the data set.
        seed: of the run, which does not matter here: the splits were drawn when the data set was registered.
        folder: of the data set, in the home.

    Raises:
        BadInput: `data_set_damaged`, if the rows are not those that were registered.
    """
    assert folder is not None, "the record of a registered data set names its folder"
    try:
        record = read_record(folder)
        data = data_set_rows(folder).read_bytes()
    except (Unreadable, OSError) as error:
        raise _damaged(folder, getattr(error, "strerror", None) or str(error)) from error
    if hashlib.sha256(data).hexdigest() != record.rows_sha256:
        raise _damaged(folder, "its rows are not those that were registered")
    return _questions(data, split, record)


def _questions(data: bytes, split: str, record: RegisteredRecord) -> list[Question]:
    rows = (parse_json(line) for line in lines_of(data) if line)
    return [
        make_question(record.name, row["question"], row["rationale"], row["answer"])
        for row in rows
        if row["split"] == split
    ]


def _damaged(folder: Path, reason: str) -> BadInput:
    return BadInput(
        "data_set_damaged",
        f"the registered data set can't be used: {reason}",
        field="data",
        value=folder.name,
        way_out=f"Restore {folder} from a backup, or register the rows anew and use the new name.",
    )
