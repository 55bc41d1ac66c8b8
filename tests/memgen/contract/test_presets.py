import json
from pathlib import Path

import pytest
import torch

from memgen.contract.errors import BadInput
from memgen.contract.planner.memory import weights_bytes
from memgen.contract.presets import (
    BUILT_IN,
    DEMO_PRESET,
    SHIPPED_PRESET,
    Preset,
    check_config,
    dimensions_of,
    get_preset,
    load_presets,
)
from tests.conftest import GOLDEN, TINY
from tests.memgen.contract.on_meta import plain_model_of

# parameters in billions, as the models' cards and the hub's pages of their files state them
PUBLISHED = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": 0.1345,
    SHIPPED_PRESET: 0.1345,
    "HuggingFaceTB/SmolLM2-360M-Instruct": 0.362,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1.71,
    "HuggingFaceTB/SmolLM3-3B": 3.08,
    "Qwen/Qwen2.5-0.5B-Instruct": 0.494,
    "Qwen/Qwen2.5-1.5B-Instruct": 1.54,
    "Qwen/Qwen2.5-3B-Instruct": 3.09,
    "Qwen/Qwen2.5-7B-Instruct": 7.62,
    "Qwen/Qwen2.5-14B-Instruct": 14.8,
    "Qwen/Qwen3-0.6B": 0.596,
    "Qwen/Qwen3-1.7B": 1.72,
    "Qwen/Qwen3-4B": 4.02,
    "Qwen/Qwen3-8B": 8.19,
    "Qwen/Qwen3-14B": 14.8,
}
each_preset = pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.short_name)


@each_preset
def test_dimensions_give_the_published_number_of_parameters(preset: Preset) -> None:
    assert preset.dimensions.parameters == pytest.approx(PUBLISHED[preset.name] * 1e9, rel=0.005)


@each_preset
def test_transformers_makes_a_model_of_as_many_parameters_and_its_config_agrees(preset: Preset) -> None:
    with torch.device("meta"):
        model = plain_model_of(preset, torch.bfloat16)
    assert model.num_parameters() == preset.dimensions.parameters
    check_config(preset, model.config.to_dict())
    check_config(preset, model.config.to_diff_dict())  # as it is saved: what is usual is left out


def test_config_that_differs_from_its_preset_is_refused_with_every_field() -> None:
    preset = get_preset("Qwen/Qwen3-8B")
    with torch.device("meta"):
        config = plain_model_of(preset, torch.bfloat16).config.to_dict()
    with pytest.raises(BadInput) as caught:
        check_config(preset, {**config, "num_hidden_layers": 32, "vocab_size": 151_669, "model_type": "llama"})
    error = caught.value
    assert (error.code, error.field, error.value) == ("other_dimensions", "dimensions.num_layers", "32")
    for said in ("num_layers is 32 and not 36", "vocab_size is 151669", "qk_norm is False", "layout is llama"):
        assert said in error.message
    assert "MEMGEN_PRESETS" in error.way_out
    check_config(preset, {})  # no layout that is known here: for the loader to judge


def test_presets_come_by_family_and_by_size_under_names_that_tell_them_apart() -> None:
    *others, shipped = BUILT_IN
    families = [(preset.layout, preset.dimensions.parameters) for preset in others]
    order = list(dict.fromkeys(layout for layout, _ in families))
    assert families == sorted(families, key=lambda one: (order.index(one[0]), one[1]))
    assert len({preset.short_name for preset in BUILT_IN}) == len(BUILT_IN)  # outputs lie in folders of these names
    assert (others[0].name, shipped.name) == (DEMO_PRESET, SHIPPED_PRESET)


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
