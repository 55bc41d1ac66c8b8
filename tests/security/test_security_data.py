"""What a data set, a preset or a config may bring along: a row, an entry or a field is refused with a sentence."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memgen.contract.config import parse_config, stored_config
from memgen.contract.errors import BadInput
from memgen.contract.json_file import MARK, MOST_BYTES, Unreadable, lines_of, read_json, read_lines
from memgen.contract.names import is_file_name, is_revision
from memgen.contract.presets import Preset, get_preset, load_presets
from memgen.contract.rundir import newest_link, published_dir
from memgen.data.gsm8k import load_gsm8k
from memgen.data.gsm8k_row import from_gsm8k_row
from memgen.model.fetch import fetch_model
from memgen.monitor import Monitor
from tests.backend.conftest import Backend, check_problem
from tests.conftest import GOLDEN, TINY

GOOD = b'{"question": "What is 1 + 1?", "answer": "#### 2"}\n'


def check(caught: BadInput, code: str, said: str) -> None:
    """One sentence with a way out that names the thing."""
    assert caught.code == code, caught
    assert said in caught.message, caught.message
    assert caught.way_out
    assert len(str(caught)) < 2000
    assert "\n" not in str(caught)


# --- rows


def row(question: str = "q", answer: str = "#### 2", **more: object) -> bytes:
    return json.dumps({"question": question, "answer": answer, **more}).encode()


HOSTILE_ROWS: dict[str, tuple[bytes, str]] = {
    "deep": (b'{"question": ' + b"[" * 100_000, "nested too deep"),
    "deep beside the answer": (row()[:-1] + b', "x": ' + b"[" * 900 + b"]" * 900 + b"}", "nested too deep"),
    "half a pair in the question": (row("\ud800"), "not JSON in UTF-8"),
    "half a pair in the answer": (row(answer="\udfff #### 2"), "not JSON in UTF-8"),
    "half a pair in a key": (row(**{"\ud800": 1}), "not JSON in UTF-8"),
    "half a pair as it stands": (b'{"question": "\xed\xa0\x80", "answer": "#### 2"}', "not JSON in UTF-8"),
    "latin-1": ('{"question": "é", "answer": "#### 2"}'.encode("latin-1"), "not JSON in UTF-8"),
    "utf-16": (row().decode().encode("utf-16"), "not JSON in UTF-8"),
    "overlong": (row("x" * MOST_BYTES), "longer than 1,048,576 bytes"),
    "a number of 5,000 digits": (row()[:-1] + b', "x": ' + b"9" * 5000 + b"}", "not JSON in UTF-8"),
    "a list": (b"[1]", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "a word": (b'"question"', "not a JSON object"),
    "two values": (GOOD.strip() * 2, "not JSON in UTF-8"),
    "cut": (GOOD[:20], "not JSON in UTF-8"),
    "NUL": (b"\x00", "not JSON in UTF-8"),
    "question is a list": (row(["q"]), "no text under 'question'"),  # type: ignore[arg-type]
    "answer is deep": (row(answer=[[["#### 2"]]]), "no text under 'answer'"),  # type: ignore[arg-type]
    "answer is true": (row(answer=True), "no text under 'answer'"),  # type: ignore[arg-type]
    "no mark": (row(answer="2"), "no '####'"),
}


@pytest.mark.parametrize("case", HOSTILE_ROWS)
def test_hostile_row_is_refused_by_its_line(tmp_path: Path, case: str) -> None:
    line, said = HOSTILE_ROWS[case]
    (tmp_path / "train.jsonl").write_bytes(GOOD)
    (tmp_path / "test.jsonl").write_bytes(GOOD + b"\n" + line + b"\n")
    with pytest.raises(BadInput) as caught:
        load_gsm8k("test", folder=tmp_path)
    check(caught.value, "bad_data_row", said)
    assert "test.jsonl, line 3: " in caught.value.message
    assert caught.value.field == "MEMGEN_GSM8K_DIR"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r"])
def test_separators_inside_a_text_end_no_row(tmp_path: Path, separator: str) -> None:
    whole = json.dumps({"question": f"a{separator}b", "answer": "#### 2"}, ensure_ascii=False)
    (tmp_path / "train.jsonl").write_bytes(GOOD)
    (tmp_path / "test.jsonl").write_bytes(whole.encode() + b"\r\n" + GOOD)
    assert [one.question for one in load_gsm8k("test", folder=tmp_path)] == [f"a{separator}b", "What is 1 + 1?"]


def test_byte_order_marks_of_a_file_and_of_files_that_were_joined_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(GOOD)
    (tmp_path / "test.jsonl").write_bytes(MARK + GOOD + MARK + row("second", "#### 3") + b"\n" + MARK)
    assert [one.answer for one in load_gsm8k("test", folder=tmp_path)] == ["2", "3"]


def test_last_row_without_a_newline_and_blank_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"\n \nfirst\n\n" + b"x" * 30 + b"\nlast")
    lines = list(read_lines(tmp_path / "lines", most_bytes=10))
    assert lines == [(3, b"first\n"), (5, b"x" * 11), (6, b"last")]
    assert lines_of("a\u2028\u0085b\nc".encode()) == ["a\u2028\u0085b".encode(), b"c"]


@pytest.mark.parametrize("text", ["\ud800", "a\udc80b", "q" * 10 + "\udfff"])
def test_row_of_the_hub_with_half_a_pair_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        from_gsm8k_row({"question": text, "answer": "#### 2"}, "gsm8k")
    check(caught.value, "bad_data_row", "half of a surrogate pair at character")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "EOF"), (b"[" * 9999, "nested too deep"), (b'"\\ud800"', "not JSON"), (b"\xff\xfe1\x00", "not JSON"),
        (b"1" * 6000, "not JSON"), (b" " * (MOST_BYTES + 1), "longer than"),
    ],
    ids=["empty", "deep", "half a pair", "utf-16", "a long number", "a long file"],
)  # fmt: skip
def test_json_that_is_none_is_unreadable_and_nothing_worse(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(Unreadable, match=said):
        read_json(tmp_path / "a.json")


def test_pipes_folders_and_devices_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "zero", "."):
        with pytest.raises(Unreadable, match="it is no file"):
            read_json(tmp_path / name)
    for name in ("loop", "gone"):
        with pytest.raises(Unreadable):
            read_json(tmp_path / name)


# --- presets


def entry(**fields: object) -> dict[str, object]:
    return {"name": "lab/model", "folder": str(GOLDEN / "tiny_base"), **fields}


def text_of(*entries: object) -> bytes:
    return json.dumps(entries).encode()


SIZES = {
    "hidden_size": 8, "num_layers": 1, "num_heads": 1, "num_kv_heads": 1, "head_dim": 8, "intermediate_size": 8,
    "vocab_size": 8, "tied_embeddings": True,
}  # fmt: skip
WHEEL = {"package": "p==1", "sha256": "0" * 64, "member": "m", "size_bytes": 1}
BAD_NAMES = [
    "a/..", "a/", ".", "..", "/", "/etc", "a//b", "../a", "a/.", "a/.hidden", ".hidden", "a\0b", "a/b\0", "a\nb", "",
    " ", "a/ ", " a", "a\\b", "x" * 201, "é" * 150, "a/" + "x" * 198 + "é", "a\u202eb", "a\x1b[2J",
]  # fmt: skip
HOSTILE_PRESETS: dict[str, bytes] = {
    "deep": b"[" * 100_000,
    "deep and whole": b"[" * 900 + b"]" * 900,
    "an object": b"{}",
    "empty": b"",
    "overlong": b" " * 2**21,
    "half a pair": b'[{"name": "\\ud800", "repo": "a/b"}]',
    "too many": text_of(*[{}] * 1001),
    "numbers": text_of(1),
    "pairs": text_of([["name", "x"]]),
    "null": text_of(None),
    "no source": text_of({"name": "x", "dimensions": SIZES}),
    "two sources": text_of(entry(repo="a/b")),
    "no folder": text_of(entry(folder="")),
    "folder is a number": text_of(entry(folder=7)),
    "folder with NUL": text_of(entry(folder="a\0b")),
    "folder is long": text_of(entry(folder="x" * 5000)),
    "folder is a list": text_of(entry(folder=["a"])),
    "repository outside": text_of({"name": "x", "repo": "../../x", "dimensions": SIZES}),
    "repository from the root": text_of({"name": "x", "repo": "/etc/passwd", "dimensions": SIZES}),
    "repository deeper": text_of({"name": "x", "repo": "a/b/c", "dimensions": SIZES}),
    "repository is an address": text_of({"name": "x", "repo": "http://a/b", "dimensions": SIZES}),
    "size 0": text_of(entry(dimensions=SIZES | {"num_heads": 0})),
    "size without end": text_of(entry(dimensions=SIZES | {"vocab_size": 2**70})),
    "size infinite": b'[{"name": "x", "repo": "a/b", "dimensions": {"hidden_size": 1e999}}]',
    "size is no number": b'[{"name": "x", "repo": "a/b", "dimensions": {"hidden_size": NaN}}]',
    "hours without end": text_of(entry(expected_hours={"a": [1e308, 1e309]})),
    "package is an option": text_of(entry(wheel=WHEEL | {"package": "-r/etc/passwd"})),
    "package of two words": text_of(entry(wheel=WHEEL | {"package": "a --index-url=http://x"})),
    "hash is a path": text_of(entry(wheel=WHEEL | {"sha256": "../../../../x"})),
    "unknown key": text_of(entry(run="rm")),
    **{f"name {ascii(name)[:30]}": text_of(entry(name=name)) for name in BAD_NAMES},
}


@pytest.mark.parametrize("case", HOSTILE_PRESETS)
def test_hostile_presets_file_is_refused_by_its_setting(tmp_path: Path, case: str) -> None:
    path = tmp_path / "presets.json"
    path.write_bytes(HOSTILE_PRESETS[case])
    with pytest.raises(BadInput) as caught:
        load_presets(path)
    check(caught.value, "bad_presets_file", "presets file")
    assert caught.value.field == "MEMGEN_PRESETS"


def harm_config(data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.json").write_bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 9999, b"[]", b"{}", b"null", b"{", b'{"hidden_size": 1e999}',
        b'{"hidden_size": 8, "num_attention_heads": 0}', b'{"hidden_size": "\\ud800"}',
        b'{"hidden_size": 8, "num_attention_heads": [1]}', b'{"hidden_size": ' + b"9" * 4000 + b"}",
    ],
)  # fmt: skip
def test_folder_with_a_hostile_config_is_refused_by_its_setting(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_bytes(data)
    path = tmp_path / "presets.json"
    path.write_text(json.dumps([{"name": "x", "folder": "model"}]))
    with pytest.raises(BadInput) as caught:
        load_presets(path)
    check(caught.value, "bad_presets_file", "entry 0")


@pytest.mark.parametrize("name", ["lab/my-model", "my model (v2)", "Qwen2.5-1.5B", "a/b/c", "модель", "x" * 200])
def test_plain_name_of_a_preset_is_taken(tmp_path: Path, name: str) -> None:
    path = tmp_path / "presets.json"
    path.write_bytes(text_of(entry(name=name)))
    assert get_preset(name, path).short_name == name.rsplit("/", 1)[-1]


def test_presets_file_that_can_not_be_reached_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "gone" / "x.json", tmp_path / ("x" * 300), tmp_path, tmp_path / "pipe"):
        with pytest.raises(BadInput) as caught:
            load_presets(path)
        check(caught.value, "bad_presets_file", "presets file can't be")


# --- revisions and stored names


BAD_REVISIONS = [
    "../../x", "/etc/passwd", "..", ".", "a/../b", "a/..", "a/", "/a", "a//b", "./a", "refs/../../x", ".hidden",
    "a/.b", "-x", "--upload-pack=x", "a b", "a\n", "a\0", "a\\b", "é", "a%2e%2e", "a:b", "~", "", "x" * 101, "a@{1}",
]  # fmt: skip


@pytest.mark.parametrize("revision", BAD_REVISIONS)
def test_revision_that_is_a_path_or_none_is_refused(home: Path, revision: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_config({"stage": "evaluate", "revision": revision})
    assert (caught.value.code, caught.value.field) == ("invalid_config", "revision")
    assert not is_revision(revision)


@pytest.mark.parametrize("revision", ["main", "77950e8", "refs/pr/1", "v1.0", "feature/x_y-2", "1" * 40, "_a"])
def test_commit_branch_and_tag_are_revisions(home: Path, revision: str) -> None:
    assert parse_config({"stage": "evaluate", "revision": revision}).revision == revision
    assert is_revision(revision)


@pytest.mark.parametrize("revision", ["../../x", "/etc/passwd", "..", "a/../../b"])
def test_api_takes_no_path_for_a_revision(backend: Backend, revision: str) -> None:
    config = {"stage": "evaluate", "data": "wordproblems", "revision": revision}
    body = check_problem(backend.user("POST", "/runs", json={"config": config}), 422, "invalid_config")
    assert body["field"] == "revision"
    spec = {"shared": {"data": "wordproblems", "revision": revision}}
    assert backend.user("POST", "/pipelines", json=spec).status_code == 422
    assert backend.get("/runs")["items"] == []


def test_revision_of_a_folder_is_refused_and_not_ignored(backend: Backend, home: Path) -> None:
    config = backend.config | {"revision": "main"}
    body = check_problem(backend.user("POST", "/runs", json={"config": config}), 422, "revision_unused")
    assert body["field"] == "revision"
    assert not backend.user("POST", "/preflight", json={"config": config}).json()["ok"]
    with pytest.raises(BadInput) as caught:
        fetch_model(get_preset(TINY), "main", home, Monitor(None))
    check(caught.value, "revision_unused", "lie in a folder")


@pytest.mark.parametrize("commit", ["../../x", "/etc", "x y", 7, None])
def test_commit_that_a_trainer_or_a_hub_makes_up_is_not_pinned(monkeypatch: pytest.MonkeyPatch, commit: Any) -> None:
    from types import SimpleNamespace

    from backend.services.preflight import pin_revision
    from backend.store.models import Run

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(sha=commit))
    config = parse_config({"stage": "evaluate"})
    assert pin_revision(config, []).revision is None
    assert pin_revision(config, [Run(config={}, environment={"model": f"hub:a/b@{commit} "})]).revision is None


def test_cached_model_that_is_no_snapshot_is_not_taken(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    preset = get_preset("Qwen/Qwen3-14B")
    with pytest.raises(BadInput) as caught:
        fetch_model(preset, "main", home, Monitor(None))
    check(caught.value, "model_unavailable", "no snapshot")


@pytest.mark.parametrize(("name", "data"), [("a/..", "gsm8k"), ("a/", "gsm8k"), ("b", "../.."), ("b", ".."), ("b", "")])
def test_stored_config_with_a_name_that_leads_elsewhere_has_no_place(home: Path, name: str, data: str) -> None:
    config = stored_config({"stage": "evaluate", "preset": name, "data": data})
    for place in (lambda: newest_link(home, config), lambda: published_dir(home, config, 1)):
        with pytest.raises(BadInput) as caught:
            place()
        check(caught.value, "unsafe_name", "can't be that of a file or folder")


def test_stored_config_that_todays_rules_refuse_is_still_read() -> None:
    config = stored_config({"stage": "weaver_sft", "preset": "gone", "data": "gsm8k", "revision": "../../x"})
    assert (config.stage, config.revision, config.seed) == ("weaver_sft", "../../x", 42)


@pytest.mark.parametrize("name", [name for name in BAD_NAMES if "/" not in name])
def test_bad_name_is_no_file_name(name: str) -> None:
    assert not is_file_name(name)


def test_preset_made_in_code_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match="outputs lie in folders"):
        Preset(name="a/..", repo="a/b", dimensions=get_preset("Qwen/Qwen3-14B").dimensions)


# --- values too large to be shown


def deep() -> object:
    value: object = 1
    for _ in range(5000):
        value = [value]
    return value


def test_value_of_any_size_is_refused_with_a_short_sentence(home: Path) -> None:
    for value in (10**5000, deep(), "x" * 10**6, "\ud800", {"a": float("nan")}):
        for field in ("seed", "preset", "stage", "checkpoint", "revision"):
            with pytest.raises(BadInput) as caught:
                parse_config({"stage": "evaluate", field: value})
            assert len(str(caught.value)) < 3000
