"""Layers on several GPUs, as far as a machine without any can tell."""

import accelerate
import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.integrations.accelerate import _get_device_map

from memgen.contract.planner.memory import plan
from memgen.contract.planner.placement import share
from memgen.contract.presets import BUILT_IN, Preset
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.model import base
from memgen.model.base import BaseModel, load_base
from memgen.model.checkpoint import new_model
from memgen.model.fetch import LocalModel
from memgen.model.memgen_model import LatentSettings, MemGenModel, Row
from memgen.model.woven_generation import generate_woven
from tests.conftest import GOLDEN
from tests.memgen.contract.on_meta import model_of

SOURCE = LocalModel(GOLDEN / "tiny_base", "tiny")


def model_on(loaded: BaseModel) -> MemGenModel:
    torch.manual_seed(1)
    return new_model(loaded, LatentSettings(4, 2), lora_r=4, lora_alpha=8, lora_dropout=0.0)


def test_layers_that_accelerate_moves_compute_the_same() -> None:
    """Each layer has accelerate's hooks as on several GPUs; here all of them lead to the CPU."""
    plain, hooked = load_base(SOURCE, "float32"), load_base(SOURCE, "float32")
    places = [name for name, _ in hooked.model.model.named_children() if name != "layers"]
    device_map = {f"model.{name}": "cpu" for name in places} | {"lm_head": "cpu"}
    device_map |= {f"model.layers.{number}": "cpu" for number in range(hooked.model.config.num_hidden_layers)}
    accelerate.dispatch_model(hooked.model, device_map, force_hooks=True)
    assert hasattr(hooked.model.model.layers[0], "_hf_hook")
    ids = torch.randint(3, 500, (30,), generator=torch.Generator().manual_seed(2))
    rows = [Row(ids, [12, 20], 12), Row(ids[:25], [10], 10)]
    said = []
    for loaded in (plain, hooked):
        model = model_on(loaded)
        model.train_part("weaver")
        loss = torch.cat(model.token_logprobs(rows)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        done = generate_woven(model, [ids[:12], ids[:10]], 8, trigger=True)
        gradient = model.weaver.reasoner_to_weaver.weight.grad
        said.append((loss.item(), gradient, [one.ids for one in done]))
    assert said[0][0] == said[1][0]
    assert torch.equal(said[0][1], said[1][1])
    assert said[0][2] == said[1][2]


@pytest.mark.parametrize(
    ("gpus", "processes", "device_map"), [(0, None, None), (1, None, None), (2, None, "balanced"), (2, "2", None)]
)
def test_layers_are_spread_where_a_lone_process_sees_several_gpus(
    gpus: int, processes: str | None, device_map: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Seen(BaseException):
        pass

    def load(*_: object, **given: object) -> None:
        raise Seen(given["device_map"])

    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(base.AutoModelForCausalLM, "from_pretrained", load)
    if processes:
        monkeypatch.setenv("WORLD_SIZE", processes)
    with pytest.raises(Seen) as seen:
        load_base(SOURCE, "float32")
    assert seen.value.args == (device_map,)


@pytest.mark.parametrize("preset", BUILT_IN[1:], ids=lambda preset: preset.short_name)
def test_balanced_layers_are_whole_and_weigh_no_more_than_planned(preset: Preset) -> None:
    bare = model_of(preset, "meta", torch.bfloat16).base.model
    with torch.device("meta"):
        bare = AutoModelForCausalLM.from_config(bare.config, dtype=torch.bfloat16)
    bare.tie_weights()
    device_map = _get_device_map(bare, "balanced", {0: 80 * 2**30, 1: 80 * 2**30}, None)
    layers = {name: device for name, device in device_map.items() if name.startswith("model.layers.")}
    assert set(layers) == {f"model.layers.{number}" for number in range(preset.dimensions.num_layers)}
    assert set(device_map.values()) == {0, 1}
    sizes = accelerate.utils.compute_module_sizes(bare)
    need = plan(EvaluateConfig(preset=preset.name), preset, "cuda")
    for gpu in (0, 1):
        held = [name for name, device in device_map.items() if device == gpu]
        part = sum(name in layers for name in held) / preset.dimensions.num_layers
        beside = need.process + need.widest.transient + part * need.caches
        assert sum(sizes[name] for name in held) + beside <= share(need, 2)
