"""A family is used with latents where packed reading computes what the family does, else refused by name."""

from pathlib import Path
from typing import Any

import pytest
import torch

from memgen.contract.errors import BadInput
from memgen.model import reading_check
from memgen.model.base import BaseModel, load_base
from memgen.model.fetch import LocalModel
from memgen.model.reading_check import EXACT, ROUNDING, check_reading, logits_apart
from tests.families import FAMILIES, write_family


def base_of(folder: Path, layout: str, dtype: str = "float32", **changes: Any) -> tuple[BaseModel, LocalModel]:
    source = LocalModel(write_family(folder / layout, layout, **changes), f"folder:{layout}")
    return load_base(source, dtype), source


def refusal(home: Path, base: BaseModel, source: LocalModel) -> BadInput:
    with pytest.raises(BadInput) as caught:
        check_reading(base, source, home)
    assert (caught.value.code, caught.value.field) == ("unsupported_family", "preset")
    assert not list(home.rglob("checked/*"))
    return caught.value


@pytest.mark.parametrize("layout", FAMILIES)
def test_families_of_the_presets_are_read_as_the_plain_model_reads(tmp_path: Path, layout: str) -> None:
    base, source = base_of(tmp_path, layout)
    attention = base.model.config._attn_implementation
    apart, rounding = logits_apart(base)
    assert max(apart, rounding) < 1e-5
    check_reading(base, source, tmp_path)
    assert base.model.config._attn_implementation == attention


@pytest.mark.parametrize("layout", FAMILIES)
def test_bfloat16_is_as_far_from_the_plain_model_as_rounding_is(tmp_path: Path, layout: str) -> None:
    base, source = base_of(tmp_path, layout, "bfloat16")
    apart, rounding = logits_apart(base)
    assert EXACT < apart < 1.3 * rounding < ROUNDING * rounding
    check_reading(base, source, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", ["smollm3", "qwen2", "qwen3"])
def test_what_makes_a_family_is_seen_where_packed_reading_leaves_it_out(
    tmp_path: Path, layout: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, source = base_of(tmp_path, layout, dtype)
    packed = reading_check._packed

    def without(*given: Any) -> Any:
        for layer in base.model.model.layers:
            attention = layer.self_attn
            if layout == "smollm3":
                attention.use_rope = 1
            elif layout == "qwen2":
                attention.q_proj.bias.data.zero_()
            else:
                attention.q_norm = torch.nn.Identity()
        return packed(*given)

    monkeypatch.setattr(reading_check, "_packed", without)
    assert "logits differ from the plain model's" in refusal(tmp_path, base, source).message


@pytest.mark.parametrize(
    ("layout", "changes", "reason"),
    [
        ("qwen2", {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 2}, "sliding_attention"),
        ("mistral", {"sliding_window": 64}, "a sliding window (sliding_window 64)"),
        ("granite", {"logits_scaling": 8.0}, "logits differ from the plain model's"),
        ("gpt2", {"n_embd": 64, "n_layer": 2, "n_head": 4}, "can't be read row by row"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "dynamic"),
    ],
)
def test_family_with_another_attention_is_refused_by_name(
    tmp_path: Path, layout: str, changes: dict[str, Any], reason: str
) -> None:
    error = refusal(tmp_path, *base_of(tmp_path, layout, **changes))
    assert reason in error.message
    assert f"family {layout} " in error.message
    assert error.value == layout
    assert "base" in error.way_out


def test_what_has_passed_is_not_tried_again_until_weights_config_or_numbers_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, source = base_of(tmp_path, "llama")
    check_reading(base, source, tmp_path)

    class TriedAgain(Exception):
        pass

    def again(_: BaseModel) -> None:
        raise TriedAgain

    monkeypatch.setattr(reading_check, "logits_apart", again)
    check_reading(base, source, tmp_path)
    with pytest.raises(TriedAgain):
        check_reading(base, LocalModel(source.folder, "folder:other"), tmp_path)
    with pytest.raises(TriedAgain):
        check_reading(load_base(source, "bfloat16"), source, tmp_path)
    config = source.folder / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(TriedAgain):
        check_reading(base, source, tmp_path)
