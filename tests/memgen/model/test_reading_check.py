"""A family is used with latents where packed reading computes what the family does, else refused by name."""

from pathlib import Path
from typing import Any

import pytest
import torch

from memgen.contract.errors import BadInput
from memgen.model import reading_check
from memgen.model.base import BaseModel, load_base
from memgen.model.fetch import LocalModel
from memgen.model.reading_check import EXACT, ROUNDING, check_reading, check_window, logits_apart
from memgen.model.row_cache import RowStream
from memgen.model.stream import Stream
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
        ("qwen2", {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 2}, "see 24 positions"),
        ("mistral", {"sliding_window": 24}, "see 24 positions of a row, and one may have 33"),
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


WINDOWS: list[tuple[str, dict[str, Any]]] = [
    ("qwen2", {"use_sliding_window": True, "sliding_window": 48, "max_window_layers": 2}),
    ("mistral", {"sliding_window": 48}),
]


@pytest.mark.parametrize(("layout", "changes"), WINDOWS, ids=[layout for layout, _ in WINDOWS])
def test_window_changes_nothing_up_to_its_length_and_refuses_a_longer_row(
    tmp_path: Path, layout: str, changes: dict[str, Any]
) -> None:
    base, source = base_of(tmp_path, layout, **changes)
    check_reading(base, source, tmp_path)
    apart, _ = logits_apart(base)
    assert apart < 1e-5
    check_window(base, 48)
    with pytest.raises(BadInput) as caught:
        check_window(base, 49)
    assert caught.value.code == "unsupported_family"
    assert "see 48 positions of a row, and one may have 49" in caught.value.message
    assert "max_completion_length until no row has more than 48" in caught.value.way_out

    ids = torch.arange(3, 51)
    embedded, (plain,) = base.model.get_input_embeddings()(ids), base.model(input_ids=ids[None]).logits
    growing, training = RowStream(base.model.get_decoder(), 1), Stream(base.model.get_decoder(), 1)
    head = base.model.get_output_embeddings()
    with torch.no_grad():
        for read in (lambda part: growing.read([0], [part]), lambda part: training.read([part])):
            hidden = torch.cat([read(embedded[:30])[0], read(embedded[30:])[0]])
            torch.testing.assert_close(head(hidden), plain, rtol=1e-4, atol=1e-4)
            with pytest.raises(BadInput, match="one may have 49"):
                read(embedded[:1])


def test_model_whose_window_is_not_used_has_none(tmp_path: Path) -> None:
    base, _ = base_of(tmp_path, "qwen2", use_sliding_window=False, sliding_window=8)
    check_window(base, 10**6)


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
