"""What passes through the model hold beside weights and caches: arithmetic on a preset's dimensions, no torch.

Counted is what transformers' decoder layers and PEFT's LoRA layers leave to the backward pass, tensor by tensor, and
the widest moment of a layer. Assumed is an attention kernel of torch's `sdpa` that keeps queries, keys, values, output
and the logarithm of the softmax's sum, and no (T, T) matrix of weights: flash or memory-efficient on a GPU, torch's own
flash kernel on a CPU. Rows are packed without padding and keys and values are not repeated for the query heads that
share them. A pass after others has a mask in the weights' number format, with a row for each query of a key; the
memory-efficient kernel aligns it, which makes a copy in each layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from memgen.contract.planner.parameters import module_widths
from memgen.contract.planner.parts import Lora
from memgen.contract.planner.shapes import Pass
from memgen.contract.presets import Dimensions

FLOAT = 4  # bytes of a float32
SHARED_INPUTS = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj"), "before the attention"),
    **dict.fromkeys(("gate_proj", "up_proj"), "before the MLP"),
    "down_proj": "inside the MLP",
}
"""What modules read that nothing else keeps, by a name for it."""
ATTENTION = {
    "cuda": "torch's sdpa, memory-efficient or flash kernel: keeps q, k, v, output and logsumexp, no T x T weights",
    "cpu": "torch's sdpa, flash kernel for the CPU: keeps q, k, v, output and logsumexp, no T x T weights",
}


@dataclass(frozen=True)
class Adapter:
    """What the LoRA layers of a decoder layer keep."""

    lora: Lora
    dropout: bool
    """Whether inputs are dropped in front of it: while the weaver is trained."""
    cuda: bool
    """Whether dropout keeps a mask of bytes; on a CPU it keeps the float32 factors."""

    def kept(self, dims: Dimensions, size: int) -> int:
        """Bytes per position of one layer; LoRA is float32, so inputs in another number format are cast, each apart."""
        widths = {module: module_widths(dims)[module][0] for module in self.lora.targets}
        inputs, narrow = sum(widths.values()), len(widths) * self.lora.rank * FLOAT
        if self.dropout:
            return inputs * (FLOAT + (1 if self.cuda else FLOAT)) + narrow
        if size == FLOAT:  # nothing is cast: modules that read the same share it, and the attention keeps its output
            shared = {SHARED_INPUTS.get(module): width for module, width in widths.items()}
            inputs = sum(width for name, width in shared.items() if name is not None)
        return inputs * FLOAT + narrow


def kept_by_layer(dims: Dimensions, size: int, rows: int, one: Pass, adapter: Adapter | None = None) -> int:
    """Bytes that one decoder layer keeps of a pass for backward, weights in `size` bytes per number."""
    q_width, kv_width = dims.num_heads * dims.head_dim, dims.num_kv_heads * dims.head_dim
    position = 2 * dims.hidden_size * FLOAT  # inputs of both RMSNorms, which compute in float32
    position += (q_width + kv_width) * FLOAT if dims.qk_norm else 0
    position += 2 * q_width * size + dims.num_heads * FLOAT  # queries, output and logsumexp of the attention
    position += 3 * dims.intermediate_size * size  # gate, its SiLU, up
    position += adapter.kept(dims, size) if adapter else 0
    keys_and_values = 2 * kv_width * size  # of each position that is seen: a pass makes new ones after the old ones
    return rows * (one.new * position + one.seen * keys_and_values) + mask(dims, size, rows, one)


def mask(dims: Dimensions, size: int, rows: int, one: Pass) -> int:
    """Bytes of a pass's mask; a row's first pass has none."""
    return rows * (dims.num_heads // dims.num_kv_heads) * one.new * one.seen * size if one.seen > one.new else 0


def checkpointed_by_layer(dims: Dimensions, size: int, rows: int, one: Pass) -> int:
    """`kept_by_layer` with gradient checkpointing: the layer's input, and keys and values for when it runs again."""
    return rows * (one.new * dims.hidden_size + one.seen * 2 * dims.num_kv_heads * dims.head_dim) * size


def kept(
    dims: Dimensions, size: int, rows: int, passes: Sequence[Pass], adapter: Adapter | None, *, checkpointing: bool
) -> int:
    """Bytes that all layers keep of some passes for backward."""
    if checkpointing:
        layers = dims.num_layers * sum(checkpointed_by_layer(dims, size, rows, one) for one in passes)
        return layers + sum(mask(dims, size, rows, one) for one in passes)
    return dims.num_layers * sum(kept_by_layer(dims, size, rows, one, adapter) for one in passes)


def widest(dims: Dimensions, size: int, rows: int, one: Pass) -> int:
    """Bytes at the widest moment of a layer of which nothing is kept: in its MLP or in its attention."""
    q_width, kv_width = dims.num_heads * dims.head_dim, dims.num_kv_heads * dims.head_dim
    stream = dims.hidden_size * size
    # the model's and the layer's inputs; in the MLP what the attention has added to it; and the normed copy
    mlp = one.new * (4 * stream + 3 * dims.intermediate_size * size)
    attention = one.new * (3 * stream + (2 * q_width + 2 * kv_width) * size)
    attention += one.seen * 2 * kv_width * size
    norm = one.new * (dims.hidden_size * size + 3 * dims.hidden_size * FLOAT)
    return max(rows * mlp, rows * attention + mask(dims, size, rows, one), rows * norm)
