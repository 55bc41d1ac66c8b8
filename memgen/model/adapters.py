"""Two LoRA adapters in one frozen base, and which of them is on.

At rest every adapter is off and the base is the reasoner: its logits are bit-equal to the plain base model, as a
LoRA layer that is off calls its base layer and nothing else. PEFT's switches also toggle `requires_grad`; it is
set again for the stage's own parameters after each switch.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

Adapter = Literal["weaver", "trigger"]
ADAPTERS: tuple[Adapter, ...] = ("weaver", "trigger")


class Adapters:
    """The adapters of a base model.

    Args:
        base: the causal LM; frozen, LoRA layers are put into it in place.
        configs: LoRA settings of both adapters.
    """

    def __init__(self, base: nn.Module, configs: Mapping[Adapter, LoraConfig]) -> None:
        base.requires_grad_(False)
        for name in ADAPTERS:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # two adapters are meant
                inject_adapter_in_model(configs[name], base, adapter_name=name)
        self._layers = [module for module in base.modules() if isinstance(module, BaseTunerLayer)]
        self._parameters: dict[Adapter, dict[str, nn.Parameter]] = {
            name: {
                key.replace(f".{name}.", "."): parameter
                for key, parameter in base.named_parameters()
                if "lora_" in key and f".{name}." in key
            }
            for name in ADAPTERS
        }
        self._trained: list[nn.Parameter] = []
        self._switch(None)

    def parameters(self, name: Adapter) -> dict[str, nn.Parameter]:
        """LoRA matrices of one adapter, by their place in the base: `model.layers.0.self_attn.q_proj.lora_A.weight`."""
        return self._parameters[name]

    def train(self, name: Adapter | None) -> None:
        """Let gradients into one adapter and keep them out of the other; None freezes both."""
        self._trained = list(self._parameters[name].values()) if name else []
        self._switch(None)

    def dropout(self, on: bool) -> None:
        """Whether LoRA layers drop inputs; nothing else in the base does, so the reasoner stays exact in training."""
        for layer in self._layers:
            layer.lora_dropout.train(on)  # type: ignore[union-attr]

    @contextmanager
    def on(self, name: Adapter) -> Iterator[None]:
        """Inside the block the base runs with this adapter; behind it with none."""
        self._switch(name)
        try:
            yield
        finally:
            self._switch(None)

    def _switch(self, name: Adapter | None) -> None:
        for layer in self._layers:
            layer.enable_adapters(name is not None)
            if name is not None:
                layer.set_adapter(name, inference_mode=True)
        for parameters in self._parameters.values():
            for parameter in parameters.values():
                parameter.requires_grad_(False)
        for parameter in self._trained:
            parameter.requires_grad_(True)


def is_untrained(parameters: Mapping[str, torch.Tensor]) -> bool:
    """Whether every LoRA B is zero: such an adapter changes nothing."""
    return all(not bool(value.any()) for key, value in parameters.items() if "lora_B" in key)
