"""Two LoRA adapters in one frozen base, and which of them is on; other pairs may be in the same base.

At rest every adapter is off and the base is the reasoner: its logits are bit-equal to the plain base model, as a
LoRA layer that is off calls its base layer and nothing else. PEFT's switches also toggle `requires_grad`; it is
set again for the stage's own parameters after each switch. A pass whose rows belong to several roles has an adapter on
some of its positions only.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer, cast_adapter_dtype
from torch import nn

from memgen.model.row_dropout import Draws, RowDropout

Adapter = Literal["weaver", "trigger"]
ADAPTERS: tuple[Adapter, ...] = ("weaver", "trigger")


class Adapters:
    """The adapters of a base model.

    Args:
        base: the causal LM; frozen, LoRA layers are put into it in place.
        configs: LoRA settings of both adapters.
        mark: what tells this pair from others in the same base; PEFT's names of the adapters end in it.
    """

    def __init__(self, base: nn.Module, configs: Mapping[Adapter, LoraConfig], mark: str = "") -> None:
        base.requires_grad_(False)
        self._names = {name: f"{name}{mark}" for name in ADAPTERS}
        for name in ADAPTERS:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # two adapters are meant
                inject_adapter_in_model(configs[name], base, adapter_name=self._names[name])
            # PEFT gives LoRA the base's number format here; in bfloat16 a step of 1e-5 is lost in the rounding
            cast_adapter_dtype(base, adapter_name=self._names[name])
        self._layers = self._lora_layers(base)
        self.draws = Draws()
        """For which rows the LoRA layers draw what they drop."""
        for place, layer in enumerate(self._layers):
            for name in ADAPTERS:
                if (p := configs[name].lora_dropout) > 0:
                    layer.lora_dropout[self._names[name]] = RowDropout(p, place, self.draws)
        self._parameters: dict[Adapter, dict[str, nn.Parameter]] = {
            name: {
                key.replace(f".{own}.", "."): parameter
                for key, parameter in base.named_parameters()
                if "lora_" in key and f".{own}." in key
            }
            for name, own in self._names.items()
        }
        self._trained: set[nn.Parameter] = set()
        self.active: Adapter | None = None
        """Which adapter is on."""
        self._tail: tuple[Adapter, int] | None = None
        for layer in self._layers:
            layer.register_forward_hook(self._add_to_tail)
        self._switch(None, self._layers)

    def parameters(self, name: Adapter) -> dict[str, nn.Parameter]:
        """LoRA matrices of one adapter, by their place in the base: `model.layers.0.self_attn.q_proj.lora_A.weight`."""
        return self._parameters[name]

    def train(self, name: Adapter | None) -> None:
        """Let gradients into one adapter and keep them out of the other; None freezes both."""
        self._trained = set(self._parameters[name].values()) if name else set()
        self._switch(None, self._layers)

    def dropout(self, on: bool) -> None:
        """Whether LoRA layers drop inputs; nothing else in the base does, so the reasoner stays exact in training."""
        for layer in self._layers:
            layer.lora_dropout.train(on)

    @contextmanager
    def on(self, name: Adapter | None, inside: nn.Module | None = None) -> Iterator[None]:
        """Inside the block the base runs with this adapter, or with none; after it as before.

        Args:
            name: of the adapter; None for none.
            inside: the one module of the base that runs, e.g. a layer again in a backward pass; None for the base.
        """
        layers = self._layers if inside is None else self._lora_layers(inside)
        before = self.active
        self._switch(name, layers)
        try:
            yield
        finally:
            self._switch(before, layers)

    @contextmanager
    def on_from(self, name: Adapter | None, start: int) -> Iterator[None]:
        """Inside the block the base, at rest otherwise, runs with this adapter, or none, on its positions from `start`.

        Without dropout. The positions are those of a pass over one sequence, (1, N, D).
        """
        self._tail = None if name is None else (name, start)
        try:
            yield
        finally:
            self._tail = None

    def _add_to_tail(self, layer: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        if self._tail is None:
            return output
        name, start = self._tail
        own = self._names[name]
        narrow, wide = layer.lora_A[own], layer.lora_B[own]
        added = wide(narrow(inputs[0][:, start:].to(narrow.weight.dtype))) * layer.scaling[own]
        return torch.cat([output[:, :start], (output[:, start:] + added).to(output.dtype)], dim=1)

    def _switch(self, name: Adapter | None, layers: Sequence[Any]) -> None:
        for layer in layers:
            layer.enable_adapters(name is not None)
            if name is not None:
                layer.set_adapter(self._names[name], inference_mode=True)
            for key, parameter in layer.named_parameters():
                if "lora_" in key:
                    parameter.requires_grad_(parameter in self._trained)
        self.active = name

    def _lora_layers(self, module: nn.Module) -> list[Any]:
        """Layers that have these adapters; another pair may stand in others."""
        own = set(self._names.values())
        return [one for one in lora_layers(module) if own & set(one.lora_A)]


def lora_layers(module: nn.Module) -> list[Any]:
    """The LoRA layers of a module, whatever adapters they have."""
    return [one for one in module.modules() if isinstance(one, BaseTunerLayer)]


def is_untrained(parameters: Mapping[str, torch.Tensor]) -> bool:
    """Whether every LoRA B is zero: such an adapter changes nothing."""
    return all(not bool(value.any()) for key, value in parameters.items() if "lora_B" in key)
