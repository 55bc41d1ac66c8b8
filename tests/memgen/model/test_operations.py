"""What a pass of generation makes a GPU do: counted on the meta device, where nothing is computed.

Copies to the device and operations are launched from Python one by one, and a GPU is idle meanwhile. Neither may grow
with layers times rows.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from memgen.contract.presets import Preset, get_preset
from memgen.model.memgen_model import MemGenModel
from memgen.model.row_cache import Reading
from tests.memgen.contract.on_meta import model_of, pretended_gpu

pytestmark = pytest.mark.usefixtures("pretended_gpu")
__all__ = ["pretended_gpu"]

META = torch.device("meta")
VIEWS = {"view", "_unsafe_view", "expand", "transpose", "t", "slice", "select", "split", "split_with_sizes", "detach"}
VIEWS |= {"unsqueeze", "alias", "permute", "as_strided"}  # launch nothing


class Counted(TorchDispatchMode):
    """Inside the block: copies from the CPU to the device, and operations on it that launch something."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = 0
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        devices = {one.device for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)}
        made = {one.device for one in tree_leaves(out) if isinstance(one, torch.Tensor)}
        if META in made and func.overloadpacket.__name__ not in VIEWS:
            self.copies += torch.device("cpu") in devices
            self.operations += 1
        return out


def small(layers: int) -> Preset:
    """Qwen2.5-0.5B's layout with few layers."""
    preset = get_preset("Qwen/Qwen2.5-0.5B-Instruct")
    return preset.model_copy(update={"dimensions": preset.dimensions.model_copy(update={"num_layers": layers})})


def tokens(model: MemGenModel, lengths: Sequence[int]) -> list[torch.Tensor]:
    return [model.embed(torch.empty(length, dtype=torch.long, device=META)) for length in lengths]


def pass_of(layers: int, rows: int) -> Counted:
    """A pass in which each fifth row weaves, two rows begin, others read latents, and the rest a token."""
    model = model_of(small(layers), "meta", torch.bfloat16)
    with torch.no_grad():
        reasoner, weaver = model.row_stream(rows), model.row_stream(rows)
        model.read_ahead(
            Reading(reasoner, range(2, rows), tokens(model, [90 + row % 7 for row in range(2, rows)])),
            Reading(weaver, range(2, rows), tokens(model, [70 + row % 5 for row in range(2, rows)])),
            None,
        )
        weaving = list(range(0, rows, 5))
        news = [60, 75, 1, 8, 1] + [9 if row % 4 == 1 else 1 for row in range(5, rows)]
        reading = Reading(reasoner, range(rows), tokens(model, news))
        fresh = Reading(weaver, weaving, tokens(model, [60] + [12 + 8 * (row % 2) for row in weaving[1:]]))
        with Counted() as counted:
            model.read_and_weave(reading, fresh, prompt=[row == 0 for row in weaving])
    return counted


def test_copies_to_the_device_are_few_and_the_same_for_any_number_of_layers_and_rows() -> None:
    counts = {(layers, rows): pass_of(layers, rows).copies for layers in (2, 6) for rows in (20, 60)}
    assert len(set(counts.values())) == 1, counts
    assert max(counts.values()) == 1


def test_operations_of_a_layer_do_not_grow_with_the_rows() -> None:
    of_a_layer = {rows: (pass_of(6, rows).operations - pass_of(2, rows).operations) / 4 for rows in (20, 60, 120)}
    assert len(set(of_a_layer.values())) == 1, of_a_layer
