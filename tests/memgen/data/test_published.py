"""MATH-500, AQuA and GPQA: read from a folder or from the hub, and refused with the way there where they are not."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from memgen.contract.data_sets.aqua import AQUA
from memgen.contract.data_sets.gpqa import GPQA
from memgen.contract.data_sets.math500 import MATH500
from memgen.contract.errors import BadInput
from memgen.data import load_questions
from memgen.data.lengths import row_lengths
from memgen.scoring import accuracy

MATH_ROW = {
    "problem": "What is half of $\\frac{3}{2}$?", "solution": "Half of it is $\\boxed{\\frac{3}{4}}$.",
    "answer": "\\frac{3}{4}", "subject": "Prealgebra", "level": 1, "unique_id": "test/prealgebra/1.json",
}  # fmt: skip
AQUA_ROW = {
    "question": "What is 2 + 2?",
    "options": ["A)3", "B)4", "C)5", "D)6", "E)7"],
    "rationale": "Add.",
    "correct": "B",
}
GPQA_ROWS = [
    {
        "Question": f"Which is {n}?", "Correct Answer": f"right {n}", "Incorrect Answer 1": f"wrong {n}a",
        "Incorrect Answer 2": f"wrong {n}b", "Incorrect Answer 3": f"wrong {n}c", "Explanation": "It\nis so.",
        "Record ID": "x",
    }
    for n in range(30)
]  # fmt: skip


def write_lines(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


def test_math_500_is_an_expression_whose_gold_answer_scores(tmp_path: Path) -> None:
    write_lines(tmp_path / "test.jsonl", MATH_ROW)
    (one,) = load_questions("math500", "test", folder=tmp_path)
    assert one.solution == "Half of it is $\\boxed{\\frac{3}{4}}$.\\boxed{\\frac{3}{4}}"
    assert accuracy("so \\boxed{0.75}", one.solution, MATH500.answer) == 1.0
    with pytest.raises(BadInput) as refused:
        load_questions("math500", "train", folder=tmp_path)
    assert (refused.value.code, refused.value.way_out) == ("no_such_split", "It has: test.")


def test_aqua_shows_its_choices_and_loads_a_repeated_question_once(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        write_lines(tmp_path / f"{split}.jsonl", AQUA_ROW, AQUA_ROW | {"rationale": "Otherwise."})
    (one,) = load_questions("aqua", "train", folder=tmp_path)
    assert (one.question, one.answer) == ("What is 2 + 2?\n(A) 3\n(B) 4\n(C) 5\n(D) 6\n(E) 7", "B")
    lengths = row_lengths(AQUA, "test", 42, tmp_path)
    assert lengths is not None
    assert len(lengths.prompts) == 1


def test_gpqa_choices_stand_in_an_order_that_no_run_changes_and_the_right_one_anywhere(tmp_path: Path) -> None:
    write_table(tmp_path / "gpqa_main.csv", GPQA_ROWS)
    questions = load_questions("gpqa", "test", folder=tmp_path)
    assert questions == load_questions("gpqa", "test", seed=7, folder=tmp_path)
    for number, one in enumerate(questions):
        assert f"({one.answer}) right {number}" in one.question.splitlines()
    assert {one.answer for one in questions} == set("ABCD")


def test_row_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "test.jsonl", MATH_ROW, MATH_ROW | {"problem": "2?", "answer": ""})
    with pytest.raises(BadInput) as refused:
        load_questions("math500", "test", folder=tmp_path)
    assert (refused.value.code, refused.value.field) == ("bad_data_row", "MEMGEN_MATH500_DIR")
    assert refused.value.message == "test.jsonl, row 2: column answer: this is empty"


def test_hub_is_asked_for_the_published_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the hub is reached through datasets")
    asked = []

    def answer(repository: str, config: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((repository, config, split))
        return {"HuggingFaceH4/MATH-500": [MATH_ROW], "deepmind/aqua_rat": [AQUA_ROW]}.get(repository, GPQA_ROWS)

    monkeypatch.setattr(datasets, "load_dataset", answer)
    assert [len(load_questions(name, "test")) for name in ("math500", "aqua", "gpqa")] == [1, 1, 30]
    assert asked == [
        ("HuggingFaceH4/MATH-500", None, "test"), ("deepmind/aqua_rat", "raw", "test"),
        ("Idavidrein/gpqa", "gpqa_main", "train"),
    ]  # fmt: skip


def test_without_hub_or_folder_the_way_there_is_said_and_for_gpqa_how_to_consent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    datasets = pytest.importorskip("datasets", reason="the hub is reached through datasets")

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("offline")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    for one in (MATH500, AQUA, GPQA):
        with pytest.raises(BadInput) as refused:
            load_questions(one.name, "test")
        assert refused.value.code == "dataset_unavailable"
        assert one.folder is not None
        assert one.folder.setting in refused.value.way_out
    assert "log in at https://huggingface.co/datasets/Idavidrein/gpqa, agree" in refused.value.way_out


def test_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="lacks gpqa_main"):
        load_questions("gpqa", "test", folder=tmp_path)
