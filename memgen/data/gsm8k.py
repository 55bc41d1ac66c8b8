"""GSM8K (openai/gsm8k, configuration `main`), from a folder of the user's or from the Hugging Face hub.

The project ships no copy of it. Importing this module imports neither torch nor `datasets`.
Seen in the published files: 7,473 train and 1,319 test rows, no duplicate question within or across them, each
answer with exactly one `####`, some final answers with thousands commas.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from memgen.contract.data_sets.folders import check_folder, unusable_folder
from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.errors import BadInput
from memgen.contract.json_file import MOST_BYTES, Unreadable, parse_json, read_lines
from memgen.data.gsm8k_count import count_rows
from memgen.data.gsm8k_hub import hub_questions
from memgen.data.gsm8k_row import from_gsm8k_row
from memgen.data.questions import (
    Question,
    check_split,
    drop_duplicates,
    split_validation,
    validation_rows,
)

PUBLISHED_TRAIN, PUBLISHED_TEST = 7473, 1319  # rows
TRAIN_FILE, TEST_FILE = "train.jsonl", "test.jsonl"


def split_sizes(folder: Path | None) -> dict[str, int]:
    """Questions of each split, as published or as a folder has them.

    Raises:
        BadInput: `data_folder_incomplete`.
    """
    train, test = PUBLISHED_TRAIN, PUBLISHED_TEST
    if folder is not None:
        train, test = count_rows(folder / TRAIN_FILE), count_rows(folder / TEST_FILE)
    validation = validation_rows(train)
    return {"train": train - validation, "validation": validation, "test": test}


def load_gsm8k(split: str, seed: int = 42, folder: Path | None = None) -> list[Question]:
    """All questions of one split, in the order of the file.

    Args:
        split: `train` or `validation` (nine tenths and a tenth of the train file, parted by `seed`) or `test`.
        seed: of the validation split; `test` does not depend on it.
        folder: holds train.jsonl and test.jsonl (the value of MEMGEN_GSM8K_DIR); None reads from the hub.

    Returns:
        Questions with unique ids; of a question that occurs twice the first row counts.

    Raises:
        BadInput: `unknown_split`, `data_folder_incomplete`, `bad_data_row` (with file and line),
            `dataset_unavailable` (no folder given and the hub can't be reached).
    """
    check_split(split)
    is_test = split == "test"
    if folder is None:
        rows = hub_questions("test" if is_test else "train")
    else:
        check_folder(GSM8K, folder)
        rows = _file_questions(folder / (TEST_FILE if is_test else TRAIN_FILE))
    questions = drop_duplicates(rows)
    if is_test:
        return questions
    train, validation = split_validation(questions, seed)
    return validation if split == "validation" else train


def _file_questions(path: Path) -> Iterator[Question]:
    """The questions of one file, line by line; blank lines are skipped, a file without a row is refused."""
    assert GSM8K.folder is not None
    empty = True
    try:
        for number, line in read_lines(path):
            empty = False
            yield _line_question(line, path, number)
    except OSError as error:
        raise unusable_folder(GSM8K.folder, path.parent, f"{path.name} can't be read: {error.strerror}") from error
    if empty:
        raise unusable_folder(GSM8K.folder, path.parent, f"{path.name} has no rows")


def _line_question(line: bytes, path: Path, number: int) -> Question:
    if len(line) > MOST_BYTES:
        _refuse_row(f"the line is longer than {MOST_BYTES:,} bytes", path, number)
    try:
        row = parse_json(line)
    except Unreadable as error:
        _refuse_row(str(error), path, number)
    if not isinstance(row, dict):
        _refuse_row("the line is not a JSON object", path, number)
    try:
        return from_gsm8k_row(row, GSM8K.name)
    except BadInput as error:
        _refuse_row(error.message, path, number)


def _refuse_row(message: str, path: Path, number: int) -> NoReturn:
    assert GSM8K.folder is not None
    raise BadInput(
        "bad_data_row",
        f"{path.name}, line {number}: {message}",
        field=GSM8K.folder.setting,
        value=path,
        way_out=(
            f'Mend line {number}: each line is {{"question": ..., "answer": ...}} with \'#### 18\' at the answer\'s '
            "end. Or fetch the file again from openai/grade-school-math."
        ),
    )
