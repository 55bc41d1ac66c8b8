"""Bounds on the lengths of rows, held against a real tokenizer."""

import json
from pathlib import Path

import pytest

from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.data_sets.wordproblems import WORDPROBLEMS
from memgen.data import at_hand, load_questions
from memgen.data.lengths import row_lengths, token_bounds
from memgen.data.prompt import answer_text, question_prompt
from tests.conftest import GOLDEN


def test_number_of_tokens_lies_between_the_bounds_for_every_row() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(GOLDEN / "tiny_base" / "tokenizer.json"))
    found = row_lengths(WORDPROBLEMS, "test", 42, None)
    assert found is not None
    rows = load_questions("wordproblems", "test")
    assert len(found.prompts) == len(found.answers) == len(rows) == 1000
    for row, (low, high), (fewest, most) in zip(rows, found.prompts, found.answers, strict=True):
        prompt = len(tokenizer.encode(question_prompt(WORDPROBLEMS, row.question), add_special_tokens=False).ids)
        answer = len(tokenizer.encode(answer_text(row.solution), add_special_tokens=False).ids)
        assert low <= prompt <= high
        assert fewest <= answer <= most


@pytest.mark.parametrize(
    "text", ["", "a", "two words", "1234567", "naïve re\u0301sume\u0301 日本語 🙂", "\u0958\u0958", "\n\n \t"]
)
def test_bounds_hold_for_odd_texts(text: str) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(GOLDEN / "tiny_base" / "tokenizer.json"))
    low, high = token_bounds(text)
    assert low <= len(tokenizer.encode(text, add_special_tokens=False).ids) <= high


def test_rows_of_the_hub_are_not_fetched_and_those_of_a_large_folder_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert row_lengths(GSM8K, "test", 42, None) is None
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).write_text(json.dumps({"question": "How many?", "answer": "#### 4"}))
    found = row_lengths(GSM8K, "test", 42, tmp_path)
    assert found is not None
    assert len(found.prompts) == 1
    monkeypatch.setattr(at_hand, "MOST_BYTES", 10)
    assert row_lengths(GSM8K, "test", 42, tmp_path) is None


def test_a_change_of_the_folder_is_seen(tmp_path: Path) -> None:
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).write_text(json.dumps({"question": "How many?", "answer": "#### 4"}))
    before = row_lengths(GSM8K, "test", 42, tmp_path)
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "How many in all?", "answer": "#### 4"}))
    after = row_lengths(GSM8K, "test", 42, tmp_path)
    assert before is not None
    assert after is not None
    assert after.prompts[0][0] == before.prompts[0][0] + 2
