"""Checkpoints with `projections.pt` and `weaver_lora/`: read whole or refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from memgen.contract.errors import BadInput
from memgen.contract.manifest import read_manifest
from memgen.contract.presets import get_preset
from memgen.model.authors_layout import export_authors, import_authors, load_authors
from memgen.model.base import load_base
from memgen.model.checkpoint import load_checkpoint
from memgen.model.fetch import fetch_model
from memgen.model.memgen_model import MemGenModel, Row
from memgen.monitor import Monitor
from tests.conftest import GOLDEN, TINY

ADAPTER = GOLDEN / "a" / "checkpoint" / "weaver" / "weaver"


def older(folder: Path, nested: bool = True) -> dict[str, Any]:
    """The golden checkpoint `a` without its norms, as the older code saved one; returns `projections.pt`."""
    checkpoint = GOLDEN / "a" / "checkpoint"
    projections = torch.load(checkpoint / "projs.bin", weights_only=True)
    weaver = torch.load(checkpoint / "weaver.bin", weights_only=True)
    state = {**projections, **{key: weaver[key] for key in ("prompt_query_latents", "inference_query_latents")}}
    adapter = folder / "weaver_lora" / "weaver" if nested else folder / "weaver_lora"
    adapter.mkdir(parents=True)
    torch.save(state, folder / "projections.pt")
    shutil.copy(ADAPTER / "adapter_config.json", adapter)
    torch.save(load_file(ADAPTER / "adapter_model.safetensors"), adapter / "adapter_model.bin")
    return state


def logprobs(model: MemGenModel) -> torch.Tensor:
    with torch.no_grad():
        return model.eval().token_logprobs([Row(torch.arange(5, 60), [10, 20, 33])])[0]


@pytest.mark.parametrize("nested", [True, False])
def test_weaver_is_imported_whole_and_its_queries_are_used_as_they_are(
    home: Path, tmp_path: Path, nested: bool
) -> None:
    state = older(tmp_path / "older", nested)
    ours = tmp_path / "ours"
    lora = len(load_file(ADAPTER / "adapter_model.safetensors"))
    counts = import_authors(tmp_path / "older", get_preset(TINY), ours, home, Monitor(None))
    assert counts == (6 + lora, 6 + lora)
    assert read_manifest(ours).trained == ["weaver"]
    weights = fetch_model(get_preset(TINY), None, home, Monitor(None))
    model = load_checkpoint(ours, load_base(weights, "float32"), weights.identity)
    same = load_authors(GOLDEN / "a" / "checkpoint", load_base(weights, "float32")).model
    before = logprobs(same)
    raw = {True: state["prompt_query_latents"], False: state["inference_query_latents"]}
    same.weaver.queries = lambda *, prompt: raw[prompt]  # type: ignore[method-assign]
    assert torch.equal(logprobs(model), logprobs(same))
    assert not torch.equal(logprobs(model), before)


def test_what_is_missing_is_named(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "older"
    state = older(source)

    def refusal() -> BadInput:
        with pytest.raises(BadInput) as caught:
            import_authors(source, get_preset(TINY), tmp_path / "ours", home, Monitor(None))
        assert not (tmp_path / "ours").exists()
        return caught.value

    torch.save({key: value for key, value in state.items() if key != "weaver_to_reasoner"}, source / "projections.pt")
    assert "weaver_to_reasoner" in str(refusal())
    torch.save({key: value for key, value in state.items() if key != "prompt_query_latents"}, source / "projections.pt")
    assert "prompt_query_latents" in str(refusal())
    torch.save(state, source / "projections.pt")
    adapter = source / "weaver_lora" / "weaver"
    tensors = load_file(ADAPTER / "adapter_model.safetensors")
    zero = {key: value * 0 if "lora_B" in key else value for key, value in tensors.items()}
    save_file(zero, adapter / "adapter_model.safetensors")
    assert "lora_B" in str(refusal())
    shutil.rmtree(adapter)
    assert "adapter_config.json" in str(refusal())


def test_checkpoint_without_norms_is_not_exported(home: Path, tmp_path: Path) -> None:
    older(tmp_path / "older")
    import_authors(tmp_path / "older", get_preset(TINY), tmp_path / "ours", home, Monitor(None))
    with pytest.raises(BadInput, match="norms"):
        export_authors(tmp_path / "ours", get_preset(TINY), tmp_path / "out", home, Monitor(None))
    assert not (tmp_path / "out").exists()
