"""Gradient checkpointing changes what is kept, and no number."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from memgen.model.authors_layout import load_authors
from memgen.model.base import load_base
from memgen.model.fetch import LocalModel
from memgen.model.memgen_model import MemGenModel, Row
from tests.conftest import GOLDEN


def fresh() -> MemGenModel:
    return load_authors(
        GOLDEN / "a" / "checkpoint", load_base(LocalModel(GOLDEN / "tiny_base", "golden"), "float32")
    ).model


def rows() -> list[Row]:
    generator = torch.Generator().manual_seed(3)
    lengths = {60: [20, 31, 47], 44: [15, 30], 52: [12]}
    return [Row(torch.randint(3, 200, (n,), generator=generator), points, points[0]) for n, points in lengths.items()]


@contextmanager
def kept_bytes() -> Iterator[list[int]]:
    """Bytes of all storages that are kept for a backward pass."""
    storages: dict[int, int] = {}
    total: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield total
    total.append(sum(storages.values()))


def gradients(model: MemGenModel, part: str) -> tuple[float, dict[str, torch.Tensor], int]:
    """Loss, gradients by name, and the bytes kept, with dropout on."""
    model.train_part(part)  # type: ignore[arg-type]
    model.train()
    torch.manual_seed(0)
    with kept_bytes() as kept:
        found = model.token_logprobs(rows()) if part == "weaver" else model.decision_logprobs(rows())
        loss = -torch.cat(found).mean()
    loss.backward()
    everything = dict(model.named_parameters()) | dict(model.base.model.named_parameters())
    grads = {name: one.grad for name, one in everything.items() if one.grad is not None}
    assert grads.keys() == {name for name, one in everything.items() if one.requires_grad}
    return float(loss.detach()), grads, kept[0]


@pytest.mark.parametrize("part", ["weaver", "trigger"])
def test_recomputed_layers_give_the_same_gradients_and_keep_less(part: str) -> None:
    plain, recomputing = fresh(), fresh()
    recomputing.recompute_layers()
    loss, grads, kept = gradients(plain, part)
    loss_again, grads_again, kept_again = gradients(recomputing, part)
    assert loss_again == loss
    assert grads_again.keys() == grads.keys()
    assert all(torch.equal(grads_again[name], one) for name, one in grads.items())
    assert any(bool(one.any()) for name, one in grads.items() if "lora_A" in name)
    assert kept_again < 0.5 * kept
