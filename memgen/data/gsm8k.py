"""GSM8K (openai/gsm8k, configuration `main`), from a folder of the user's or from the Hugging Face hub.

The project ships no copy of it. Importing this module imports neither torch nor `datasets`.
Seen in the published files: 7,473 train and 1,319 test rows, no duplicate question within or across them, each
answer with exactly one `####`, some final answers with thousands commas.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from memgen.contract.errors import BadInput
from memgen.contract.gsm8k_folder import GSM8K_FILES, GSM8K_SETTING, check_gsm8k_folder, unusable_gsm8k_folder
from memgen.contract.json_file import MOST_BYTES, Unreadable, parse_json, read_lines
from memgen.data.questions import Question, check_split, drop_duplicates, from_gsm8k_row, split_validation

HUB_NAME = "openai/gsm8k"
HUB_CONFIG = "main"
PREFIX = "gsm8k"


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
    part = "test" if split == "test" else "train"
    rows = _hub_questions(part) if folder is None else _file_questions(_data_file(folder, f"{part}.jsonl"))
    questions = drop_duplicates(rows)
    if split == "test":
        return questions
    train, validation = split_validation(questions, seed)
    return validation if split == "validation" else train


def _data_file(folder: Path, name: str) -> Path:
    check_gsm8k_folder(folder)
    return folder / name


def _file_questions(path: Path) -> Iterator[Question]:
    """The questions of one file, line by line; blank lines are skipped, a file without a row is refused."""
    empty = True
    try:
        for number, line in read_lines(path):
            empty = False
            yield _line_question(line, path, number)
    except OSError as error:
        raise unusable_gsm8k_folder(path.parent, f"{path.name} can't be read: {error.strerror}") from error
    if empty:
        raise unusable_gsm8k_folder(path.parent, f"{path.name} has no rows")


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
        return from_gsm8k_row(row, PREFIX)
    except BadInput as error:
        _refuse_row(error.message, path, number)


def _refuse_row(message: str, path: Path, number: int) -> NoReturn:
    raise BadInput(
        "bad_data_row",
        f"{path.name}, line {number}: {message}",
        field=GSM8K_SETTING,
        value=path,
        way_out=(
            f'Mend line {number}: each line is {{"question": ..., "answer": ...}} with \'#### 18\' at the answer\'s '
            "end. Or fetch the file again from openai/grade-school-math."
        ),
    )


def _hub_questions(part: str) -> Iterator[Question]:
    # Takes seconds and pulls in pandas and pyarrow: only those pay who load from the hub.
    import datasets

    try:
        rows: list[Mapping[str, object]] = list(datasets.load_dataset(HUB_NAME, HUB_CONFIG, split=part))
    # Network, hub, proxy, disk and cache errors come as a dozen unrelated classes, with the same ways out.
    except Exception as error:
        raise BadInput(
            "dataset_unavailable",
            f"{HUB_NAME} could not be loaded from the hub ({type(error).__name__}: {str(error)[:200]})",
            field="data",
            value=PREFIX,
            way_out=(
                f"Check the network, or set {GSM8K_SETTING} to a folder with {' and '.join(GSM8K_FILES)}, or "
                "choose the "
                "data 'wordproblems', which needs neither."
            ),
        ) from error
    for number, row in enumerate(rows, start=1):
        try:
            yield from_gsm8k_row(row, PREFIX)
        except BadInput as error:
            raise BadInput(
                error.code,
                f"row {number} of {HUB_NAME}, {part}: {error.message}",
                field="data",
                value=error.value,
                way_out=f"Set {GSM8K_SETTING} to a folder with {' and '.join(GSM8K_FILES)} that are whole.",
            ) from error
