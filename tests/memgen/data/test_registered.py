"""Data sets of users: what is read of their files, what is refused by row and column, and what is kept."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from memgen import cli
from memgen.contract.config import config_hash, parse_config
from memgen.contract.data_sets import registry
from memgen.contract.data_sets.functions import split_sizes
from memgen.contract.data_sets.registered import Columns, RegisteredRecord, Registration, read_record
from memgen.contract.data_sets.registry import data_set, data_sets
from memgen.contract.data_sets.report import Refused, Report
from memgen.contract.errors import BadInput
from memgen.contract.planner.parts import parts_of
from memgen.contract.planner.shapes import batch_of_answers, batch_of_solutions
from memgen.contract.rows import check_num_questions
from memgen.contract.service_files import data_set_record, data_set_rows, registered_dir
from memgen.data.load import load_questions
from memgen.data.questions import Question
from memgen.data.registered import tables
from memgen.data.registered.examine import Given, examine, peek
from memgen.data.registered.files import allowed_files, allowed_path, given_files
from memgen.data.registered.keep import preview, register
from memgen.data.registered.registering import Registering

SUMS = Registration(name="sums", columns=Columns(question="q", answer="a", split="s"))
KOREAN = Registration(name="korean", columns=Columns(question="질문", answer="정답", rationale="풀이"))
KOREAN_CSV = (
    '\ufeff질문,정답,풀이\r\n"사과가 3개,\r\n배가 4개면?",7,3+4=7\r\n'
    + "".join(f'"{n}의 두 배는?",{2 * n},"{n}+{n}"\r\n' for n in range(1, 10))
).encode()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "_home", tmp_path / "home")
    return tmp_path / "home"


def jsonl(path: Path, rows: Sequence[Any]) -> Given:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return Given(path, path.name)


def written(path: Path, data: bytes) -> Given:
    path.write_bytes(data)
    return Given(path, path.name)


def sums(path: Path, numbers: Sequence[int], split: str = "train") -> list[dict[str, Any]]:
    return [{"q": f"{n} + {n}?", "a": 2 * n, "s": split} for n in numbers]


def keep(files: Sequence[Given], said: Registration, home: Path) -> Report:
    return register(files, said, home, lambda: 1_800_000_000.0)


def refusal(file: Given, said: Registration = SUMS) -> BadInput:
    with pytest.raises(BadInput) as refused:
        examine([file], said)
    return refused.value


# end to end


def test_csv_with_korean_columns_a_mark_crlf_and_a_quoted_newline_is_a_data_set_like_any(
    tmp_path: Path, home: Path
) -> None:
    file = written(tmp_path / "문제.csv", KOREAN_CSV)
    assert peek([file]).columns == ("질문", "정답", "풀이")
    report = keep([file], KOREAN, home)
    assert report.sizes == {"train": 7, "validation": 1, "test": 2}
    assert report.drawn == ("test", "validation")
    name = report.name
    assert name is not None
    assert name in data_sets()
    questions = [one for split in ("train", "validation", "test") for one in load_questions(name, split)]
    first = next(one for one in questions if "사과" in one.question)
    assert first == Question(first.id, "사과가 3개,\n배가 4개면?", "3+4=7\\boxed{7}", "7")
    assert first.id.startswith(f"{name}:")
    assert split_sizes(data_set(name)) == report.sizes
    config = parse_config({"stage": "evaluate", "data": name, "num_questions": 2, "batch_size": 8})
    check_num_questions(config)
    with pytest.raises(BadInput, match="has 2 questions"):
        check_num_questions(parse_config({"stage": "evaluate", "data": name, "num_questions": 3}))
    assert batch_of_answers(config, parts_of(config)).prompt == report.longest[0]  # type: ignore[index]
    assert batch_of_solutions(config, parts_of(config)).prompt == report.fullest[0]  # type: ignore[index]


def test_json_lines_with_a_bad_row_a_duplicate_and_a_leak_are_refused_with_their_numbers(
    tmp_path: Path, home: Path
) -> None:
    rows: list[Any] = [*sums(tmp_path, range(5)), {"q": "what?", "a": "", "s": "train"}]
    rows += [*sums(tmp_path, [3]), *sums(tmp_path, [9, 4], "test"), "{"]
    file = jsonl(tmp_path / "sums.jsonl", rows)
    with pytest.raises(Refused) as refused:
        keep([file], SUMS, home)
    assert [one.code for one in refused.value.problems] == ["bad_data_row", "duplicate_question", "leaked_question"]
    bad, twice, leaked = (one.message for one in refused.value.problems)
    assert "2 rows can't be used: sums.jsonl, row 6, column a: this is empty; sums.jsonl, row 10: it is not JSON" in bad
    assert "1 question stands more than once: sums.jsonl, row 4 (train) and sums.jsonl, row 7 (train)" in twice
    assert "1 question stands in two splits: sums.jsonl, row 9 (test) and sums.jsonl, row 5 (train)" in leaked
    assert not registered_dir(home).exists()

    report = keep([file], SUMS.model_copy(update={"leave_out": True}), home)
    assert (report.left_out, report.rows, report.sizes) == (4, 10, {"train": 3, "validation": 1, "test": 2})
    assert "4 rows are left out." in report.warnings


def test_parquet_with_lists_of_choices_gives_letters_and_questions_with_choices(tmp_path: Path, home: Path) -> None:
    table = pa.table(
        {
            "question": ["Capital of Korea?", "2+2?"],
            "options": [["A) Busan", "B) Seoul"], ["A) 4", "B) 5"]],
            "correct": ["B", "A"],
        }
    )
    pq.write_table(table, tmp_path / "aqua.parquet")
    said = Registration(
        name="capitals",
        columns=Columns(question="question", answer="correct", choices=("options",)),
        answer="choice",
        test_share=0,
        validation_share=0,
    )
    report = keep([Given(tmp_path / "aqua.parquet", "aqua.parquet")], said, home)
    first, _ = load_questions(str(report.name), "train")
    assert (first.question, first.answer) == ("Capital of Korea?\n(A) Busan\n(B) Seoul", "B")
    assert report.num_unscored == 0


def test_choices_of_several_columns_are_shuffled_by_the_seed_and_the_answer_follows(tmp_path: Path, home: Path) -> None:
    rows = [{"q": f"{n}+1?", "right": str(n + 1), "w1": str(n + 5), "w2": str(n + 6)} for n in range(40)]
    said = Registration(
        name="shuffled", columns=Columns(question="q", answer="right", choices=("right", "w1", "w2")),
        answer="choice", answer_as="text", shuffle_choices=True,
    )  # fmt: skip
    name = str(keep([jsonl(tmp_path / "c.jsonl", rows)], said, home).name)
    questions = load_questions(name, "train")
    for one in questions:
        number = int(one.question.split("+")[0])
        assert f"({one.answer}) {number + 1}" in one.question.splitlines()
    assert {one.answer for one in questions} == {"A", "B", "C"}
    other = said.model_copy(update={"seed": 7})
    assert keep([jsonl(tmp_path / "c.jsonl", rows)], other, home).name != name


def test_files_of_a_folder_are_the_splits_that_they_are_named_for(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    jsonl(folder / "train-00000-of-00001.jsonl", sums(folder, range(10)))
    jsonl(folder / "dev.jsonl", sums(folder, [20]))
    written(folder / "test.csv", b"q;a\n1 + 5?;6\n")
    (folder / "README.md").write_text("no rows")
    files = given_files(folder)
    assert [(one.name, one.split) for one in files] == [
        ("dev.jsonl", "validation"), ("test.csv", "test"), ("train-00000-of-00001.jsonl", "train"),
    ]  # fmt: skip
    said = Registration(name="sums", columns=Columns(question="q", answer="a"))
    report = keep(files, said, home)
    assert (report.sizes, report.drawn) == ({"train": 10, "validation": 1, "test": 1}, ())


# versions


def test_other_rows_prompt_or_kind_are_another_version_and_the_same_are_the_same(tmp_path: Path, home: Path) -> None:
    file = jsonl(tmp_path / "sums.jsonl", sums(tmp_path, range(10)))
    first = keep([file], SUMS, home).name
    record = read_record(registered_dir(home) / str(first))
    assert keep([file], SUMS.model_copy(update={"word": "Sums", "help": "of two"}), home).name == first
    assert read_record(registered_dir(home) / str(first)) == record, "what is registered does not change"
    assert preview([file], SUMS).name == first
    others = [
        keep([jsonl(tmp_path / "sums.jsonl", sums(tmp_path, range(11)))], SUMS, home).name,
        keep(
            [jsonl(tmp_path / "sums.jsonl", sums(tmp_path, range(10)))], SUMS.model_copy(update={"seed": 1}), home
        ).name,
        keep([file], SUMS.model_copy(update={"prompt": "Add. \\boxed{}"}), home).name,
        keep([file], SUMS.model_copy(update={"answer": "exact text"}), home).name,
    ]
    assert len({first, *others}) == 5
    hashes = {config_hash(parse_config({"stage": "evaluate", "data": name})) for name in (first, *others)}
    assert len(hashes) == 5, "a config names the rows, so its hash is another for other rows"


def test_rows_that_were_changed_in_the_home_are_not_used(tmp_path: Path, home: Path) -> None:
    name = str(keep([jsonl(tmp_path / "sums.jsonl", sums(tmp_path, range(10)))], SUMS, home).name)
    rows = data_set_rows(registered_dir(home) / name)
    rows.write_bytes(rows.read_bytes().replace(b'"4"', b'"5"'))
    with pytest.raises(BadInput) as refused:
        load_questions(name, "train")
    assert refused.value.code == "data_set_damaged"
    assert "not those that were registered" in refused.value.message


def test_damaged_record_is_named_with_the_reason_and_harms_no_other(tmp_path: Path, home: Path) -> None:
    names = [str(keep([jsonl(tmp_path / "s.jsonl", sums(tmp_path, range(n)))], SUMS, home).name) for n in (10, 11, 12)]
    data_set_record(registered_dir(home) / names[0]).write_text("{")
    stored = data_set_record(registered_dir(home) / names[1])
    stored.write_text(stored.read_text().replace('"number"', '"choice"'))
    (registered_dir(home) / ".new-abc").mkdir()
    registry.registered.__globals__["_read"].cache_clear()
    assert names[2] in data_sets()
    reasons = {one.name: str(one) for one in registry.broken_plugins()}
    assert "it is not JSON" in reasons[names[0]]
    assert "its record is that of sums-" in reasons[names[1]]


def test_name_that_is_registered_nowhere_here_says_what_a_worker_needs() -> None:
    with pytest.raises(BadInput) as refused:
        parse_config({"stage": "evaluate", "data": "sums-0123456789"})
    assert "no such data set is registered in" in refused.value.message
    assert "A worker needs the home of the backend" in refused.value.way_out


def test_record_of_today_is_read_as_it_was_written() -> None:
    stored = (
        '{"format":1,"registration":{"name":"sums","columns":{"question":"q","answer":"a"}},"sizes":{"train":1},'
        '"longest":[9,9],"fullest":[9,9],"rows_sha256":"' + "0" * 64 + '","sources":[],"created":1.0}'
    )
    record = RegisteredRecord.model_validate_json(stored)
    assert (record.name, record.registration.seed) == ("sums-bf9c51ad4c", 42)


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31mred", "\u202eturned"])
def test_words_of_a_data_set_are_one_visible_line(text: str) -> None:
    for name in ("word", "help"):
        with pytest.raises(ValueError, match="one line"):
            Registration(name="sums", columns=SUMS.columns, **{name: text})


def test_signs_of_a_file_do_not_steer_a_terminal(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", b"q,a\n\x1b]0;title\x07,1\n")
    done = CliRunner().invoke(cli.app, ["data-set", "preview", str(file.path)])
    assert done.exit_code == 0
    assert "  q: \\x1b]0;title\\x07" in done.output
    assert "\x1b" not in done.output


# gold answers


def test_gold_answers_that_score_0_are_counted_and_named_before_anything_starts(tmp_path: Path, home: Path) -> None:
    rows = sums(tmp_path, range(10)) + [{"q": f"hard {n}?", "a": "{5", "s": "train"} for n in range(3)]
    report = preview([jsonl(tmp_path / "sums.jsonl", rows)], SUMS)
    assert report.num_unscored == 3
    (warning,) = [one for one in report.warnings if "gold" in one]
    assert warning.startswith("Your own gold answer scores 0 on 3 rows: sums.jsonl, row 11 (")
    assert (report.samples[0].score, report.samples[-1].score) == (0.0, 1.0)
    assert report.samples[-1].prompt.startswith("<|im_start|>user\nSolve the math problem")


def test_rows_without_any_gold_answer_that_scores_are_refused(tmp_path: Path) -> None:
    rows = [{"q": f"{n}?", "a": "{5", "s": "train"} for n in range(10)]
    report = preview([jsonl(tmp_path / "sums.jsonl", rows)], SUMS)
    assert [one.code for one in report.problems] == ["gold_answers_unscored"]


# what anybody may send


@pytest.mark.parametrize(
    ("name", "data", "code", "said"),
    [
        ("rows.jsonl", b"\x7fELF\x00\x01" * 100, "no_text", "this file is no text"),
        ("rows.csv", b"\xff\xfeq\x00,\x00", "bad_file", "UTF-16"),
        ("rows.csv", b"", "bad_file", "it is empty"),
        ("rows.csv", b"\xef\xbb\xbf", "bad_file", "it has no rows"),
        ("rows.csv", b"q,a,q\n1,2,3\n", "bad_file", "two of its columns are named 'q'"),
        ("rows.csv", b'"' + b"x" * 3 * 2**20, "bad_file", "a line has more than"),
        ("rows.csv", b"," * 5000 + b"\n", "bad_file", "5,001 columns"),
        ("rows.jsonl", b'[{"q": "1?", "a": 1}]', "bad_file", "it is one JSON array"),
        ("rows.parquet", b"not parquet", "bad_file", "does not begin with PAR1"),
        ("rows.parquet", b"PAR1" + b"\1" * 999 + b"PAR1", "bad_file", "it is no whole Parquet file"),
        ("rows.xlsx", b"PK\3\4", "unknown_format", "does not say what this file is"),
        ("rows.jsonl", b'{"question": "1?", "a": 1, "s": "train"}\n', "unknown_column", "no such column"),
    ],
)  # fmt: skip
def test_file_that_can_not_be_used_is_refused_by_name(
    tmp_path: Path, name: str, data: bytes, code: str, said: str
) -> None:
    error = refusal(written(tmp_path / name, data))
    assert error.code == code
    assert said in f"{error.message} {error.way_out}"


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        (b"1?,2,train,extra", None, "it has 4 fields, and the header 3"),
        (b"1?,,train", "a", "this is empty"),
        (b"1?,nan,train", None, None),
        (b"1?,1,training set", "s", "this is none of the splits"),
        (b"x" * 30_000 + b",1,train", "q", "this has 30,000 characters"),
        (b"1?,\xff,train", None, "it holds the byte 0xff, which is no UTF-8"),
        (b'1?,"2,train', None, "a quotation mark is not closed"),
        (b'"' + b"x" * 200_000 + b'",1,train', None, "a field has more than 131,072 characters"),
        (b"x" * 3 * 2**20, None, "a line has more than"),
        (b'"\n",' * 2**21, None, "perhaps a quotation mark is not closed"),
    ],
)  # fmt: skip
def test_row_of_csv_that_can_not_be_used_is_named(
    tmp_path: Path, row: bytes, column: str | None, said: str | None
) -> None:
    report = preview([written(tmp_path / "rows.csv", b"q,a,s\n0?,1,test\n" + row)], SUMS)
    if said is None:
        assert report.num_bad_rows == 0
        return
    (bad,) = report.bad_rows
    assert (bad.place.row, bad.column) == (2, column)
    assert said in bad.message


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        ('"text"', None, "the line is not a JSON object"),
        ('{"q": "1?", "s": "test"}', "a", "the row does not have this column"),
        ('{"q": "1?", "a": true, "s": "test"}', "a", "neither a text nor a number but a bool"),
        ('{"q": ["1?"], "a": 1, "s": "test"}', "q", "neither a text nor a number but a list"),
        ('{"q": "\\u0000", "a": 1, "s": "test"}', "q", "this holds a NUL character"),
        ('{"q": "\\ud800", "a": 1, "s": "test"}', None, "it is not JSON in UTF-8"),
        ("[" * 5000, None, "nested too deep"),
        ('{"q": "' + "x" * 2**21 + '"}', None, "the line is longer than"),
    ],
)  # fmt: skip
def test_row_of_json_lines_that_can_not_be_used_is_named(
    tmp_path: Path, row: str, column: str | None, said: str
) -> None:
    report = preview([jsonl(tmp_path / "rows.jsonl", [{"q": "0?", "a": 0, "s": "test"}, row])], SUMS)
    (bad,) = report.bad_rows
    assert (bad.place.row, bad.column) == (2, column)
    assert said in bad.message


def test_parquet_without_the_package_that_reads_it_is_refused_with_the_way_out(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"question": ["1 + 1?"], "answer": ["2"]}), path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(BadInput) as caught:
        tables.Table(path, "rows.parquet")
    assert (caught.value.code, caught.value.field) == ("no_parquet", "file")
    assert "memgen-studio[service]" in caught.value.way_out


def test_parquet_whose_pages_are_damaged_is_named_by_the_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows = sums(tmp_path, range(3000))
    pq.write_table(pa.Table.from_pylist([{**row, "a": str(row["a"])} for row in rows]), path, row_group_size=500)
    data = bytearray(path.read_bytes())
    data[200:6000] = b"\0" * 5800
    path.write_bytes(data)
    report = preview([Given(path, path.name)], SUMS)
    assert report.bad_rows
    assert "it can't be read" in report.bad_rows[0].message


def test_parquet_that_unpacks_to_more_than_is_read_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(
        pa.table({"q": ["x" * 10_000] * 2000, "a": ["1"] * 2000, "s": ["test"] * 2000}), tmp_path / "b.parquet"
    )
    monkeypatch.setattr(tables, "MOST_UNPACKED", 1000)
    assert "unpacked it has" in refusal(Given(tmp_path / "b.parquet", "b.parquet")).message


def test_ten_thousand_rows_are_checked_and_kept(tmp_path: Path, home: Path) -> None:
    report = keep([jsonl(tmp_path / "many.jsonl", sums(tmp_path, range(10_000)))], SUMS, home)
    assert report.sizes == {"train": 7200, "validation": 800, "test": 2000}
    assert len(load_questions(str(report.name), "train")) == 7200


# paths


def test_path_is_taken_only_where_it_lies_in_an_allowed_folder_whatever_links_say(tmp_path: Path) -> None:
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    for folder in (allowed, secret):
        folder.mkdir()
        (folder / "rows.jsonl").write_text("{}\n")
    (allowed / "link.jsonl").symlink_to(secret / "rows.jsonl")
    (tmp_path / "allowed-too").mkdir()
    assert allowed_path(str(allowed / "rows.jsonl"), [allowed]) == allowed / "rows.jsonl"
    for text in (
        secret / "rows.jsonl", allowed / "../secret/rows.jsonl", allowed / "link.jsonl", allowed / "none.jsonl",
        tmp_path / "allowed-too", "rows.jsonl", "", "\0", "x" * 9000,
    ):  # fmt: skip
        with pytest.raises(BadInput) as refused:
            allowed_path(str(text), [allowed])
        assert refused.value.code == "path_not_allowed"
        assert "secret" not in refused.value.message
    assert allowed_files([allowed]) == [str(allowed), str(allowed / "link.jsonl"), str(allowed / "rows.jsonl")]
    assert allowed_files([tmp_path / "gone"]) == []


# the hub


def test_rows_of_the_hub_keep_their_splits_and_say_where_they_came_from(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets", reason="the hub is reached through datasets")
    parts = {
        "train": datasets.Dataset.from_list([{"q": f"{n}?", "a": n} for n in range(20)]),
        "dev": datasets.Dataset.from_list([{"q": "dev?", "a": 1}]),
        "test": datasets.Dataset.from_list([{"q": "test?", "a": 2}]),
        "other": datasets.Dataset.from_list([{"x": 1}]),
    }
    asked = []

    def load(*given: object, **more: object) -> datasets.DatasetDict:
        asked.append((*given, more))
        return datasets.DatasetDict(parts)

    monkeypatch.setattr(datasets, "load_dataset", load)
    said = Registration(name="mine", columns=Columns(question="q", answer="a"))
    report = Registering(home, lambda: 1.0).add([("hub:lab/sums#main@v1", None)], said)
    assert asked == [("lab/sums", "main", {"revision": "v1"})]
    assert report.sizes == {"train": 20, "validation": 1, "test": 1}
    record = read_record(registered_dir(home) / str(report.name))
    assert [source.name for source in record.sources] == [
        "hub:lab/sums#main@v1:train", "hub:lab/sums#main@v1:dev", "hub:lab/sums#main@v1:test",
    ]  # fmt: skip


def test_hub_that_can_not_be_reached_and_what_names_no_repository_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="the hub is reached through datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    registering = Registering(home, lambda: 1.0)
    with pytest.raises(BadInput) as refused:
        registering.peek([("hub:lab/sums-that-nobody-has", None)])
    assert refused.value.code == "dataset_unavailable"
    for text in ("hub:", "hub:../x", "hub:a/b/c", "hub:a/b#x/y", "hub:a/b@../c"):
        with pytest.raises(BadInput, match="names no data set of the hub"):
            registering.peek([(text, None)])
