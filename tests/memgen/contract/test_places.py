from pathlib import Path

import pytest

from memgen.contract.errors import BadInput
from memgen.contract.places import path_of
from memgen.contract.presets import load_presets


@pytest.mark.parametrize("value", [None, "", " ", "\t\n"])
def test_setting_that_is_empty_or_blank_names_nothing(value: str | None) -> None:
    assert path_of(value, "X") is None


def test_home_and_current_folder_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    assert path_of("~/gs", "X") == tmp_path / "me" / "gs"
    assert path_of("gs/../a", "X") == tmp_path / "a"
    assert path_of(" /b ", "X") == Path("/b")


@pytest.mark.parametrize("value", ["~nobody-of-this-name/gs", "a\0b", "/caf\udce9"])
def test_path_that_can_not_be_is_refused(value: str) -> None:
    with pytest.raises(BadInput) as caught:
        path_of(value, "X")
    assert (caught.value.code, caught.value.field) == ("bad_setting", "X")
    assert str(caught.value).isascii()


def test_presets_file_is_found_below_the_home_folder_and_blank_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, presets_file: Path
) -> None:
    monkeypatch.setenv("HOME", str(presets_file.parent))
    monkeypatch.setenv("MEMGEN_PRESETS", f"~/{presets_file.name}")
    assert "tiny/qwen2-242k" in load_presets()
    monkeypatch.setenv("MEMGEN_PRESETS", " ")
    assert "tiny/qwen2-242k" not in load_presets()
