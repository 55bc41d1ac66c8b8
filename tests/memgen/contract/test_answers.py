from pathlib import Path

import pytest

from memgen.contract.answers import AnswerRecord, Message, read_answers, summarize
from memgen.contract.rundir import write_whole


def answer(index: int, accuracy: float = 1.0) -> AnswerRecord:
    return AnswerRecord(
        id=f"gsm8k:{index:016x}",
        index=index,
        prompt=[Message(role="user", content="What is 1+1?")],
        solution="\\boxed{2}",
        completion="\\boxed{2}",
        metrics={"accuracy": accuracy},
        completion_tokens=3,
        truncated=False,
        seconds=0.5,
    )


def test_answer_of_a_version_that_kept_no_question_is_read(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text(answer(0).model_dump_json(exclude={"question"}) + "\n")
    answers, _ = read_answers(path)
    assert answers == [answer(0)]
    assert answers[0].question is None


def test_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    lines = [answer(0).model_dump_json(), answer(1).model_dump_json()]
    path.write_text(lines[0] + "\n" + lines[1][:30])
    answers, summary = read_answers(path)
    assert [entry.index for entry in answers] == [0]
    assert summary is None


def test_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text(answer(0).model_dump_json() + "\n{}\n" + answer(1).model_dump_json() + "\n")
    with pytest.raises(ValueError, match="line 2"):
        read_answers(path)


def test_summary_has_means_and_counts() -> None:
    metrics = summarize([answer(0, 1.0), answer(1, 0.0)], 4.0).summary_metrics
    assert metrics == {
        "num_questions": 2,
        "accuracy": 0.5,
        "truncated": 0.0,
        "mean_completion_tokens": 3.0,
        "seconds": 4.0,
    }


def test_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half\udcff")
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]
