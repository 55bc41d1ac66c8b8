import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from memgen.contract.data_sets.folders import check_folder
from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.errors import BadInput
from memgen.data import Question, load_questions
from memgen.data.gsm8k import load_gsm8k
from memgen.data.gsm8k_row import from_gsm8k_row
from memgen.data.questions import split_validation
from memgen.scoring import accuracy, score

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("MEMGEN_SHARED", REPOSITORY.parent / "shared"))
GOLDEN = REPOSITORY / "tests" / "golden"
GOOD_LINE = json.dumps({"question": "How many?", "answer": "Two and two are 2+2=<<2+2=4>>4.\n#### 4"})

Change = Callable[[Path], object]


def row(number: int) -> dict[str, object]:
    return {"question": f"What is {number} + 1?", "answer": f"It is {number}+1={number + 1}.\n#### {number + 1}"}


def write_folder(folder: Path, train: int = 40, test: int = 5) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in (("train.jsonl", range(train)), ("test.jsonl", range(1000, 1000 + test))):
        (folder / name).write_text("".join(json.dumps(row(number)) + "\n" for number in rows), encoding="utf-8")
    return folder


@pytest.fixture
def real_folder() -> Path:
    folder = SHARED / "data" / "gsm8k"
    if not folder.is_dir():
        pytest.skip(f"no GSM8K under {folder}; set MEMGEN_SHARED")
    return folder


def test_row_becomes_a_question_with_the_box_directly_behind_the_rationale() -> None:
    made = from_gsm8k_row({"question": " Ünits? ", "answer": "a <<1*2=2>>2\nb \n#### 1,200", "more": 1}, "gsm8k")
    assert made == Question("gsm8k:3dbca817e2f80220", " Ünits? ", "a <<1*2=2>>2\nb\\boxed{1,200}", "1,200")


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_golden_rows_become_the_golden_solutions(case: str) -> None:
    examples = json.loads((GOLDEN / case / "golden.json").read_text(encoding="utf-8"))["examples"]
    assert examples
    for example in examples:
        assert from_gsm8k_row(example, "gsm8k").solution == example["solution"]


@pytest.mark.parametrize(
    ("bad_row", "field"),
    [
        ({"question": "q", "answer": "no mark"}, "answer"),
        ({"question": "q", "answer": "nothing behind ####  "}, "answer"),
        ({"question": "q"}, "answer"),
        ({"question": "q", "answer": 4}, "answer"),
        ({"question": " ", "answer": "#### 4"}, "question"),
        ({}, "question"),
    ],
)
def test_row_without_question_or_marked_answer_is_refused(bad_row: dict[str, object], field: str) -> None:
    with pytest.raises(BadInput) as refusal:
        from_gsm8k_row(bad_row, "gsm8k")
    assert (refusal.value.code, refusal.value.field) == ("bad_data_row", field)
    assert refusal.value.way_out


def test_validation_is_a_tenth_by_seed_and_leaves_the_order() -> None:
    rows = [from_gsm8k_row(row(number), "gsm8k") for number in range(95)]
    train, validation = split_validation(rows, 42)
    assert (len(train), len(validation)) == (85, 10)
    assert sorted(train + validation, key=rows.index) == rows
    assert [rows.index(one) for one in train] == sorted(rows.index(one) for one in train)
    assert split_validation(rows[::-1], 42)[1] == validation[::-1]
    assert split_validation(rows, 43)[1] != validation


def test_splits_of_a_folder_are_disjoint_and_limit_takes_the_first(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    train, validation, test = (load_gsm8k(split, 7, folder) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (36, 4, 5)
    assert len({one.id for one in train + validation + test}) == 45
    assert load_questions("gsm8k", "train", seed=7, limit=3, folder=folder) == train[:3]
    assert load_questions("gsm8k", "test", seed=8, folder=folder) == test


def test_first_of_two_rows_with_the_same_question_is_kept(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    again = json.dumps(row(1001) | {"question": "What is 1001 + 1? ", "answer": "#### 7"})
    with (folder / "test.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(f"\n{again}\n")
    assert [one.answer for one in load_gsm8k("test", folder=folder)] == ["1001", "1002", "1003", "1004", "1005"]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda folder: (folder / "test.jsonl").unlink(), "data_folder_incomplete", "test.jsonl"),
        (lambda folder: (folder / "test.jsonl").write_text("\n\n"), "data_folder_incomplete", "no rows"),
        (lambda folder: (folder / "test.jsonl").write_text('{"question": '), "bad_data_row", "line 1"),
        (lambda folder: (folder / "test.jsonl").write_bytes(b"\n\xff\n"), "bad_data_row", "line 2"),
        (lambda folder: (folder / "test.jsonl").write_text("[1]"), "bad_data_row", "object"),
        (lambda folder: (folder / "test.jsonl").write_text('{"question": "q"}'), "bad_data_row", "'answer'"),
    ],
)
def test_unusable_file_is_refused(tmp_path: Path, change: Change, code: str, said: str) -> None:
    folder = write_folder(tmp_path)
    check_folder(GSM8K, folder)
    change(folder)
    with pytest.raises(BadInput) as refusal:
        load_gsm8k("test", folder=folder)
    assert (refusal.value.code, refusal.value.field) == (code, "MEMGEN_GSM8K_DIR")
    assert said in refusal.value.message
    assert str(tmp_path)[:150] in str(refusal.value.value)
    assert refusal.value.way_out


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    for use in (partial(check_folder, GSM8K), lambda folder: load_gsm8k("train", folder=folder)):
        with pytest.raises(BadInput, match="no such folder") as refusal:
            use(tmp_path / "gone")
        assert refusal.value.code == "data_folder_incomplete"


def test_broken_line_behind_good_ones_is_named_by_number(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "train.jsonl").write_text(f"{GOOD_LINE}\n\n{GOOD_LINE[:20]}\n", encoding="utf-8")
    check_folder(GSM8K, folder)
    with pytest.raises(BadInput, match=r"train\.jsonl, line 3") as refusal:
        load_gsm8k("train", folder=folder)
    assert refusal.value.code == "bad_data_row"


def test_line_separator_inside_a_question_does_not_end_its_row(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    line = json.dumps({"question": "one\u2028two", "answer": "#### 2"}, ensure_ascii=False)
    (folder / "test.jsonl").write_text(line + "\r\n", encoding="utf-8")
    assert [one.question for one in load_gsm8k("test", folder=folder)] == ["one\u2028two"]


def test_unreachable_hub_is_refused_with_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the hub is reached through datasets")

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(BadInput) as refusal:
        load_gsm8k("test")
    assert refusal.value.code == "dataset_unavailable"
    assert "no network" in refusal.value.message
    assert all(way in refusal.value.way_out for way in ("network", "MEMGEN_GSM8K_DIR", "wordproblems"))


def test_rows_of_the_hub_become_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the hub is reached through datasets")
    asked: list[object] = []

    def answer(*names: str, split: str) -> list[dict[str, object]]:
        asked.append((*names, split))
        return [row(number) for number in range(20)]

    monkeypatch.setattr(datasets, "load_dataset", answer)
    assert len(load_gsm8k("validation")) == 2
    assert asked == [("openai/gsm8k", "main", "train")]


@pytest.mark.parametrize("limit", [0, -1, 6])
def test_limit_outside_the_split_is_refused_with_its_size(tmp_path: Path, limit: int) -> None:
    with pytest.raises(BadInput, match="5 questions") as refusal:
        load_questions("gsm8k", "test", limit=limit, folder=write_folder(tmp_path))
    assert (refusal.value.field, refusal.value.value) == ("num_questions", str(limit))


def test_unknown_data_and_split_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="gsm8k, wordproblems") as refusal:
        load_questions("math", "test")
    assert refusal.value.code == "unknown_data"
    for data in ("gsm8k", "wordproblems"):
        with pytest.raises(BadInput, match="train, validation, test") as refusal:
            load_questions(data, "dev", folder=write_folder(tmp_path))
        assert refusal.value.code == "unknown_split"


def test_importing_the_data_imports_neither_torch_nor_datasets() -> None:
    program = "import sys, memgen.data; sys.exit(bool({'torch', 'datasets', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode == 0


def test_published_files_give_their_known_sizes_and_distinct_ids(real_folder: Path) -> None:
    check_folder(GSM8K, real_folder)
    splits = {split: load_gsm8k(split, folder=real_folder) for split in ("train", "validation", "test")}
    assert {split: len(questions) for split, questions in splits.items()} == {
        "train": 6725,
        "validation": 748,
        "test": 1319,
    }
    assert len({one.id for questions in splits.values() for one in questions}) == 7473 + 1319
    assert splits["test"][0].id == "gsm8k:2b2e3f9639f6fa28"


def published_rows(folder: Path, name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def test_every_published_solution_scores_full_against_itself(real_folder: Path) -> None:
    for split in ("train", "test"):
        for one in load_gsm8k(split, folder=real_folder):
            assert set(score(one.solution, one.solution).values()) == {1.0}, one.id
            assert one.answer.lstrip("-").replace(",", "").isdecimal(), one.id


@pytest.mark.parametrize(("name", "rows", "separated"), [("train.jsonl", 7473, 79), ("test.jsonl", 1319, 14)])
def test_the_authors_target_of_every_published_row_has_their_full_score(
    real_folder: Path, name: str, rows: int, separated: int
) -> None:
    published = published_rows(real_folder, name)
    made = [from_gsm8k_row(one, "gsm8k") for one in published]
    assert len(published) == rows
    assert sum("," in one.answer for one in made) == separated
    for raw, question in zip(published, made, strict=True):
        rationale, _, answer = raw["answer"].rpartition("####")
        target = rationale.strip() + rf"\boxed{{{answer.strip()}}}"
        assert score(target, question.solution) == dict.fromkeys(score("", ""), 1.0), question.id


def test_an_answer_with_a_thousands_separator_keeps_the_accuracy_it_had_without() -> None:
    kept = from_gsm8k_row({"question": "q", "answer": "r\n#### 1,200"}, "gsm8k").solution
    for completion in (r"\boxed{1200}", r"\boxed{1,200}", "#### 1200", "so 1,200.", r"\boxed{1201}", "200", "1"):
        assert accuracy(completion, kept) == accuracy(completion, r"r\boxed{1200}"), completion
