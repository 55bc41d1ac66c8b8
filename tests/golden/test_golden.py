"""The method against the golden folders, and that a folder with one changed number fails."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from memgen.contract.errors import BadInput
from memgen.doctor.card.golden import compare
from memgen.model import places
from memgen.model.authors_layout import load_authors
from memgen.model.base import BaseModel, load_base
from memgen.model.fetch import LocalModel
from tests.conftest import GOLDEN
from tests.golden.__main__ import main


@pytest.fixture
def base() -> BaseModel:
    return load_base(LocalModel(GOLDEN / "tiny_base", "golden"), "float32")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the golden folder `b` with its tiny base beside it."""
    shutil.copytree(GOLDEN / "b", tmp_path / "b")
    shutil.copytree(GOLDEN / "tiny_base", tmp_path / "tiny_base")
    return tmp_path / "b"


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_every_quantity_holds(name: str) -> None:
    assert [one for one in compare(GOLDEN / name) if not one.holds] == []


def test_every_quantity_holds_where_rows_attend_together_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "waits_for_launches", lambda _: True)
    assert [one for one in compare(GOLDEN / "a") if not one.holds] == []


@pytest.mark.parametrize(
    ("tensor", "quantity"),
    [
        ("forward/2/logprobs", "log-probabilities"),
        ("grad/weaver_to_reasoner.weight", "gradients (relative)"),
        ("generate/active/completion_ids", "tokens (active trigger)"),
        ("generate/inactive/augmentation", "decisions (inactive trigger)"),
        ("ltpo/latents_after_step", "LTPO latents"),
    ],
)
def test_folder_with_one_changed_number_fails_by_that_quantity(copy: Path, tensor: str, quantity: str) -> None:
    tensors = load_file(copy / "golden.safetensors")
    changed = tensors[tensor].clone()
    changed.view(-1)[0] += 1
    save_file(tensors | {tensor: changed}, copy / "golden.safetensors")
    assert [one.quantity for one in compare(copy) if not one.holds] == [quantity]


def test_command_tells_by_its_exit_code(copy: Path, tmp_path: Path) -> None:
    assert main([str(copy), "--json", str(tmp_path / "out.json")]) == 0
    assert all(one["holds"] for one in json.loads((tmp_path / "out.json").read_text())[str(copy)])
    facts = json.loads((copy / "golden.json").read_text())
    facts["ltpo"]["rewards"][4] += 0.01
    (copy / "golden.json").write_text(json.dumps(facts))
    assert main([str(copy)]) == 1
    assert main([str(tmp_path)]) == 2


def test_reasoner_is_bit_equal_to_the_base_with_both_adapters_loaded(base: BaseModel) -> None:
    ids = torch.arange(40)[None]
    with torch.no_grad():
        plain = base.model(ids).logits
        model = load_authors(GOLDEN / "a" / "checkpoint", base).model.eval()
        assert torch.equal(base.model(ids).logits, plain)
        model.weave(model.stream(1), [model.embed(ids[0])], prompt=True)
        model.decide(model.row_stream(1), [0], [model.embed(ids[0])])
        assert torch.equal(base.model(ids).logits, plain)
        with model.adapters.on("weaver"):
            assert not torch.equal(base.model(ids).logits, plain)


def test_every_tensor_of_the_authors_layout_is_loaded(base: BaseModel) -> None:
    found = load_authors(GOLDEN / "a" / "checkpoint", base)
    assert found.loaded == found.expected == 38


def test_removed_key_is_refused_by_file_and_name(base: BaseModel, copy: Path) -> None:
    path = copy / "checkpoint" / "weaver.bin"
    state = torch.load(path, weights_only=True)
    del state["prompt_latent_scale"]
    torch.save(state, path)
    with pytest.raises(BadInput, match=r"weaver\.bin: it lacks the key prompt_latent_scale \(7 of 8 keys fit"):
        load_authors(copy / "checkpoint", base)


def test_lora_that_changes_nothing_is_refused(base: BaseModel, copy: Path) -> None:
    path = copy / "checkpoint" / "trigger" / "trigger" / "adapter_model.safetensors"
    state = load_file(path)
    save_file({key: value * 0 if "lora_B" in key else value for key, value in state.items()}, path)
    with pytest.raises(BadInput, match="every lora_B of the trigger is zero"):
        load_authors(copy / "checkpoint", base)


def test_adapter_saved_again_by_the_authors_code_is_refused_by_its_keys(base: BaseModel, copy: Path) -> None:
    path = copy / "checkpoint" / "weaver" / "weaver" / "adapter_model.safetensors"
    nested = {key.replace("base_model.model.", "base_model.model.model."): v for key, v in load_file(path).items()}
    save_file(nested, path)
    with pytest.raises(BadInput, match="adapter_model"):
        load_authors(copy / "checkpoint", base)


def test_missing_file_is_refused_by_name(base: BaseModel, copy: Path) -> None:
    (copy / "checkpoint" / "projs.bin").unlink()
    with pytest.raises(BadInput, match=r"projs\.bin: the file is missing"):
        load_authors(copy / "checkpoint", base)
