import json
from pathlib import Path

import pytest

from memgen.contract.errors import BadInput
from memgen.contract.planner.memory import weights_bytes
from memgen.contract.presets import BUILT_IN, dimensions_of, get_preset, load_presets
from tests.conftest import GOLDEN, TINY

# parameter counts that the models' cards and files state
PUBLISHED = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen3-14B": 14_768_307_200,
}


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_dimensions_give_the_published_number_of_parameters(preset) -> None:
    assert preset.dimensions.parameters == PUBLISHED[preset.name]


def test_weights_take_the_gigabytes_that_users_are_told() -> None:
    sizes = {preset.name: weights_bytes(preset) / 1e9 for preset in BUILT_IN}
    assert sizes["Qwen/Qwen2.5-1.5B-Instruct"] == pytest.approx(3, rel=0.1)
    assert sizes["Qwen/Qwen2.5-7B-Instruct"] == pytest.approx(14, rel=0.1)
    assert sizes["Qwen/Qwen3-14B"] == pytest.approx(28, rel=0.1)


def test_operators_folder_gives_its_own_dimensions(home: Path) -> None:
    config = json.loads((GOLDEN / "tiny_base" / "config.json").read_text())
    assert get_preset(TINY).dimensions == dimensions_of(config)
    assert set(PUBLISHED) < set(load_presets())


@pytest.mark.parametrize(
    "text",
    ["{", "{}", '[{"name": "x"}]', '[{"name": "x", "folder": "nowhere"}]', "[1]"],
)
def test_broken_presets_file_is_refused_with_its_setting(tmp_path: Path, text: str) -> None:
    path = tmp_path / "presets.json"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        load_presets(path)
    assert (caught.value.code, caught.value.field) == ("bad_presets_file", "MEMGEN_PRESETS")


def test_missing_presets_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be read"):
        load_presets(tmp_path / "gone.json")
