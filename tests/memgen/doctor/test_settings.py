"""Folders of data sets that settings name: real folders that are whole, incomplete, or none."""

from pathlib import Path

from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.data_sets.registry import BUILT_IN, BrokenPlugin
from memgen.doctor.finding import Finding, Verdict
from memgen.doctor.settings import data_folders, plug_ins

SETTING = "MEMGEN_GSM8K_DIR"
KNOWN = {one.name: one for one in BUILT_IN}


def found(value: str) -> Finding:
    [one] = [one for one in data_folders(KNOWN, {SETTING: value}) if one.subject == "data: gsm8k"]
    return one


def test_folder_without_its_files_is_an_error_that_names_them(tmp_path: Path) -> None:
    one = found(str(tmp_path))
    assert one.verdict is Verdict.ERROR
    assert "the folder lacks train.jsonl and test.jsonl" in one.seen
    assert SETTING in one.seen
    assert one.way_out == (GSM8K.folder.way_out if GSM8K.folder else "")


def test_setting_that_names_a_file_or_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("")
    assert "not a folder" in found(str(tmp_path / "rows")).seen
    assert "there is no such folder" in found(str(tmp_path / "missing")).seen
    assert found("~nobody-of-this-name/rows").verdict is Verdict.ERROR


def test_whole_folder_is_well_and_settings_that_are_not_set_are_named_once(tmp_path: Path) -> None:
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).write_text("")
    assert found(str(tmp_path)).verdict is Verdict.OK
    rest = data_folders(KNOWN, {SETTING: str(tmp_path)})[-1]
    assert rest.verdict is Verdict.OK
    assert "MEMGEN_AQUA_DIR" in rest.seen
    assert SETTING not in rest.seen


def test_plug_in_that_can_not_be_used_is_a_warning() -> None:
    [one] = plug_ins((BrokenPlugin("lab-sets", "riddles", "no module riddles"),))
    assert one.verdict is Verdict.WARNING
    assert "riddles of the package lab-sets" in one.seen
