"""Records of data sets: ours, and what becomes of plug-ins."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import ValidationError

from memgen.contract.config import config_hash, parse_config, stored_config
from memgen.contract.data_sets import registry
from memgen.contract.data_sets.functions import function_of, split_sizes
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import BUILT_IN, BrokenPlugin, data_set, data_sets, joined
from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited
from memgen.contract.rows import check_num_questions
from memgen.contract.stages import STAGES
from memgen.data import SPLITS, load_questions
from memgen.data.prompt import prompt_hash

TOY = BUILT_IN[1].model_copy(update={"name": "toy", "word": "Toy questions", "sizes": {"train": 9, "test": 3}})


def plugin(name: str, value: str = "toy_sets:TOY") -> EntryPoint:
    return EntryPoint(name, value, registry.GROUP)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A toy data set beside ours, and a plug-in that can't be used."""
    broken = BrokenPlugin("lab-sets", "sums", "ModuleNotFoundError: No module named 'nowhere'")
    monkeypatch.setattr(registry, "_installed", lambda: ({**data_sets_of_ours(), "toy": TOY}, (broken,)))
    yield


def data_sets_of_ours() -> dict[str, DataSet]:
    return {one.name: one for one in BUILT_IN}


def test_ours_come_first_and_their_loaders_and_sizes_agree() -> None:
    assert list(data_sets())[:6] == ["gsm8k", "wordproblems", "wordproblems_easy", "math500", "aqua", "gpqa"]
    for one in BUILT_IN:
        assert callable(function_of(one, one.loader))
        assert set(split_sizes(one)) <= set(SPLITS)
        if one.is_local:
            assert {split: len(load_questions(one.name, split)) for split in SPLITS} == split_sizes(one)
    assert split_sizes(data_set("gsm8k")) == {"train": 6725, "validation": 748, "test": 1319}


def test_prompt_of_ours_is_the_authors_to_the_character() -> None:
    for one in BUILT_IN:
        assert (prompt_hash(one) == "b9566837679985c2") == (one.answer != "choice"), one.name
    assert {prompt_hash(one) for one in BUILT_IN if one.answer == "choice"} == {"6311a95620d70216"}


def test_stored_config_keeps_its_hash() -> None:
    assert config_hash(parse_config({"stage": "evaluate", "batch_size": 8})) == "c538ea88a5f83798"


def test_plugin_joins_ours() -> None:
    usable, broken = joined([(plugin("toy"), TOY)])
    assert list(usable) == ["gsm8k", "wordproblems", "wordproblems_easy", "math500", "aqua", "gpqa", "toy"]
    assert broken == ()


def test_name_of_ours_is_not_taken_over() -> None:
    usable, (broken,) = joined([(plugin("mine"), TOY.model_copy(update={"name": "gsm8k"}))])
    assert usable == data_sets_of_ours()
    assert "the name gsm8k is that of a data set of MemGen Studio" in broken.reason


def test_of_two_plugins_with_one_name_neither_is_taken_as_runs_could_mean_either() -> None:
    usable, broken = joined([(plugin("one"), TOY), (plugin("two"), TOY)])
    assert usable == data_sets_of_ours()
    assert [(one.name, one.reason) for one in broken] == [
        ("one", "2 plug-ins have the name toy"), ("two", "2 plug-ins have the name toy"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("x = 1", "AttributeError"),
        ("TOY = {'name': 'toy'}", "is a dict, not a DataSet"),
        ("raise ValueError('two\\nlines \\x1b[31m')", "ValueError: two lines ?[31m"),
        (
            "from memgen.contract.data_sets.record import DataSet\n"
            "TOY = DataSet(name='../toy', word='T', help='h', sizes={'test': 1}, longest=(1, 1), fullest=(1, 1), "
            "prompt='p', answer='number', loader='a:b')",
            "name: String should match pattern",
        ),
    ],
)
def test_plugin_that_fails_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, said: str
) -> None:
    (tmp_path / "failing_sets.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "failing_sets", raising=False)
    reason = registry._import(plugin("toy", "failing_sets:TOY"))
    assert isinstance(reason, str)
    assert said in reason


def test_config_accepts_a_plugins_name_and_schemas_list_it(installed: None) -> None:
    assert parse_config({"stage": "evaluate", "data": "toy"}).data == "toy"
    for stage in STAGES:
        field = stage.config.model_json_schema()["properties"]["data"]
        assert field["enum"] == ["gsm8k", "wordproblems", "wordproblems_easy", "math500", "aqua", "gpqa", "toy"]
        assert field["x-words"]["toy"] == "Toy questions"
        assert "`toy`, generated problems" in field["description"]


def test_unknown_data_set_is_refused_with_the_names_and_with_what_failed(installed: None) -> None:
    with pytest.raises(BadInput) as refused:
        parse_config({"stage": "evaluate", "data": "sums"})
    assert (refused.value.field, refused.value.value) == ("data", "sums")
    assert refused.value.way_out == (
        "Use one of gsm8k, wordproblems, wordproblems_easy, math500, aqua, gpqa, toy. "
        "The data set sums of the package lab-sets can't be "
        "used: ModuleNotFoundError: No module named 'nowhere'."
    )


def test_stored_config_of_a_data_set_that_is_gone_is_taken_as_it_stands() -> None:
    config = stored_config({"stage": "evaluate", "data": "gone", "preset": "p", "setting": "base"})
    assert (config.data, config.setting) == ("gone", "base")


def test_split_that_a_data_set_lacks_is_refused_with_those_it_has(installed: None) -> None:
    for fields in ({"stage": "evaluate", "split": "validation"}, {"stage": "weaver_sft"}):
        with pytest.raises(BadInput, match="toy has no validation split") as refused:
            check_num_questions(parse_config(fields | {"data": "toy"}))
        assert refused.value.way_out.startswith("It has: train, test.")


def test_function_of_a_plugin_that_fails_is_an_error_in_words() -> None:
    failing = TOY.model_copy(update={"loader": "nowhere_at_all:load", "sizes": "builtins:len"})
    with pytest.raises(BadInput, match="nowhere_at_all:load can't be imported") as refused:
        function_of(failing, failing.loader)
    assert (refused.value.code, refused.value.value) == ("data_set_broken", "toy")
    with pytest.raises(BadInput, match="its rows can't be counted: TypeError"):
        split_sizes(failing)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Toy"}, {"name": "a/b"}, {"loader": "toy_sets.load"}, {"sizes": {}}, {"sizes": {"test": 0}},
        {"sizes": "load"}, {"longest": (0, 1)}, {"answer": "essay"}, {"colour": "red"},
        {"folder": {"setting": "HOME", "files": ["a"], "way_out": "w"}},
    ],
)  # fmt: skip
def test_record_that_could_not_be_used_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DataSet.model_validate(TOY.model_dump() | wrong)


def test_trainer_inherits_the_folder_setting_of_each_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = {"setting": "MEMGEN_TOY_DIR", "files": ("a.csv",), "way_out": "Put a.csv there."}
    with_folder = DataSet.model_validate(TOY.model_dump() | {"folder": folder})
    monkeypatch.setattr(registry, "_installed", lambda: ({**data_sets_of_ours(), "toy": with_folder}, ()))
    given = {"MEMGEN_TOY_DIR": "/toys", "MEMGEN_GSM8K_DIR": "/gsm8k", "MEMGEN_OTHER_DIR": "/other"}
    assert inherited("trainer", given) == {"MEMGEN_TOY_DIR": "/toys", "MEMGEN_GSM8K_DIR": "/gsm8k"}
