import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from memgen.contract.config import parse_config
from memgen.contract.data_sets.folders import check_folder, folder_of
from memgen.contract.data_sets.functions import split_sizes
from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.errors import BadInput
from memgen.contract.rows import check_num_questions, num_rows
from memgen.data import gsm8k_count as module
from memgen.data.gsm8k import load_gsm8k
from memgen.data.gsm8k_count import count_rows
from tests.conftest import TINY


def line(number: int) -> str:
    return json.dumps({"question": f"What is {number}?", "answer": f"#### {number}"})


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    made = tmp_path / "gs"
    made.mkdir()
    (made / "train.jsonl").write_text("\n".join(map(line, range(27))))
    (made / "test.jsonl").write_text("".join(line(number) + "\n" for number in range(30)))
    return made


def test_folder_is_counted_as_the_trainer_reads_it(folder: Path) -> None:
    with (folder / "test.jsonl").open("a") as file:
        file.write(f"\n  \n{line(3)}\n{line(77)}\n")  # blank lines, a question that was there, a new one
    sizes = split_sizes(GSM8K, folder)
    assert sizes == {"train": 24, "validation": 3, "test": 31}
    assert {split: len(load_gsm8k(split, folder=folder)) for split in sizes} == sizes


def test_count_follows_the_file_and_is_remembered_until_it_changes(folder: Path, monkeypatch) -> None:
    assert count_rows(folder / "test.jsonl") == 30
    module._count.cache_clear()
    count_rows(folder / "test.jsonl")
    count_rows(folder / "test.jsonl")
    assert module._count.cache_info().hits == 1
    (folder / "test.jsonl").write_text(line(1))
    assert count_rows(folder / "test.jsonl") == 1


def test_large_file_is_counted_in_bounded_time_by_its_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "test.jsonl"
    path.write_text("".join(f"{line(number)}\n" for number in range(1000, 9000)))
    monkeypatch.setattr(module, "MOST_COUNTED", 10_000)
    module._count.cache_clear()
    assert 7900 <= count_rows(path) <= 8100
    module._count.cache_clear()


def test_more_questions_than_the_folder_has_are_refused_with_its_number(folder: Path) -> None:
    config = {"stage": "evaluate", "preset": TINY, "data": "gsm8k"}
    with pytest.raises(BadInput, match="has 30 questions") as caught:
        check_num_questions(parse_config(config | {"num_questions": 100}), folder)
    assert (caught.value.code, caught.value.field) == ("too_many_questions", "num_questions")
    assert str(folder) in caught.value.message
    check_num_questions(parse_config(config | {"num_questions": 30}), folder)
    check_num_questions(parse_config(config | {"num_questions": 1319}))
    with pytest.raises(BadInput, match="1,319"):
        check_num_questions(parse_config(config | {"num_questions": 1320}))
    assert num_rows(parse_config(config), folder) == 30


def test_own_data_larger_than_gsm8k_is_used_whole(folder: Path) -> None:
    (folder / "test.jsonl").write_text("".join(f"{line(number)}\n" for number in range(1500)))
    config = parse_config({"stage": "evaluate", "preset": TINY, "data": "gsm8k", "num_questions": 1500})
    check_num_questions(config, folder)
    assert num_rows(config, folder) == 1500


def test_trigger_takes_a_third_of_the_folders_training_rows(folder: Path) -> None:
    config = {"stage": "trigger_grpo", "preset": TINY, "data": "gsm8k", "checkpoint": "1"}
    assert num_rows(parse_config(config), folder) == 8
    assert num_rows(parse_config(config)) == 6725 // 3


def test_split_without_questions_is_refused(folder: Path) -> None:
    (folder / "train.jsonl").write_text(line(1))  # the one row goes to validation
    config = parse_config({"stage": "evaluate", "preset": TINY, "data": "gsm8k", "split": "train"})
    with pytest.raises(BadInput, match="train split has no questions"):
        check_num_questions(config, folder)


Plant = Callable[[Path], object]


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.write_text("rows"), "this is a file"),
        (lambda path: os.mkfifo(path), "this is a pipe"),
        (lambda path: path.mkdir(), "lacks train.jsonl and test.jsonl"),
        (lambda path: path.symlink_to(path), "this is a link"),
        (lambda path: (path / "train.jsonl").mkdir(parents=True), "lacks train.jsonl"),
        (lambda path: path.mkdir() or os.mkfifo(path / "test.jsonl"), "and test.jsonl"),
    ],
)
def test_what_is_no_folder_with_the_files_is_refused_without_a_wait(tmp_path: Path, plant: Plant, said: str) -> None:
    plant(tmp_path / "gs")
    with pytest.raises(BadInput, match=said) as caught:
        check_folder(GSM8K, tmp_path / "gs")
    assert (caught.value.code, caught.value.field) == ("data_folder_incomplete", "MEMGEN_GSM8K_DIR")


def test_name_that_is_too_long_is_refused() -> None:
    folder = folder_of(GSM8K, {"MEMGEN_GSM8K_DIR": "/" + "x" * 5000})
    assert folder is not None
    with pytest.raises(BadInput, match="no such folder"):
        check_folder(GSM8K, folder)


@pytest.mark.parametrize("row", [b"[" * 100_000, b'{"question": "\\ud800"}', b"\xff", b"null", b'"question"', b"7"])
def test_broken_line_counts_as_a_row(folder: Path, row: bytes) -> None:
    (folder / "test.jsonl").write_bytes(b"\n".join([row, line(1).encode(), b"\xef\xbb\xbf" + line(1).encode()]))
    assert count_rows(folder / "test.jsonl") == 2
