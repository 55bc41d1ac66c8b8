"""A moment at which a run may need most memory, in bytes, and the one that many stages share: arithmetic, no torch."""

from dataclasses import dataclass

from memgen.contract.planner.activations import FLOAT, Adapter, kept, kept_by_layer, widest
from memgen.contract.planner.shapes import Pass, Shape, answer_pass, weaver_passes
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import StageConfig

CACHE_GROWTH = 256  # positions by which a key-value buffer of generation grows at least
LABELS_AT_ONCE = 128
"""Labels whose logits are there at a time where log-probabilities of given tokens are computed."""


@dataclass(frozen=True)
class Moment:
    """What a run holds at one of its moments, in bytes, beside what it always holds."""

    name: str
    caches: int
    """Keys and values."""
    transient: int
    """The largest buffers that no backward pass waits for."""
    kept_by_layers: int = 0
    """What the decoder layers keep for backward beside the caches, whose keys and values a training keeps, too."""
    kept_by_ends: int = 0
    """What loss, final norm and projections keep for backward."""

    @property
    def total(self) -> int:
        """Sum, in bytes."""
        return self.caches + self.transient + self.kept_by_layers + self.kept_by_ends


def generation(
    config: StageConfig, dims: Dimensions, size: int, shape: Shape, *, shared_prompt: bool = False
) -> list[Moment]:
    """Prompts on their way through a layer, and full caches beside the next tokens' logits.

    Reasoner and weaver read the prompts in one pass; rows that share a prompt read it once, in less room. The caches of
    a batch whose rows begin together are then as long as the prompts. Where a prompt takes the place of an answer that
    has ended, as in an evaluation with latents, they are as long as they ever get: all answers may end at one token.
    """
    first = Pass(shape.prompt, shape.prompt)
    begun, full = shape.prompt, shape.positions
    if config.has_latents:
        begun, full = _room(shape.prompt, shape.prompt), _room(shape.prompt - 1, shape.positions)
        woven = weaver_passes(shape)
        if woven:
            first = woven[0]
            begun += _room(first.seen, first.seen)
            full += _room(first.seen, woven[-1].seen)
            if shape.prompt_insertions and not shared_prompt:
                first = Pass(shape.prompt + first.new, first.seen)
        if config.uses_trigger:
            begun += _room(shape.prompt, shape.prompt)
            full += _room(shape.prompt, shape.prompt + shape.completion)
        begun = begun if shared_prompt else full
    logits = shape.rows * dims.vocab_size * (size + FLOAT)
    position = shape.rows * keys_and_values(dims, size)
    grown = position * full // dims.num_layers // 2  # the longer keys or values of a layer, beside what they replace
    return [
        Moment("prompts", position * begun, max(widest(dims, size, shape.rows, first), logits)),
        Moment("generation", position * full, max(grown, logits)),
    ]


def learning_from_tokens(
    dims: Dimensions, size: int, shape: Shape, adapter: Adapter | None, *, checkpointing: bool, reads: bool = True
) -> Moment:
    """A weaver learns from an answer's tokens: all passes are kept, and the slopes of the labels' log-probabilities.

    Args:
        dims: of the model.
        size: bytes per number of the weights.
        shape: of the batch.
        adapter: of the weaver, if its LoRA is trained.
        checkpointing: whether layers run again in the backward pass.
        reads: whether the weaver reads what stands before its latents.
    """
    rows, woven, answer = shape.rows, weaver_passes(shape) if reads else [], answer_pass(shape)
    layers = kept(dims, size, rows, woven, adapter, checkpointing=checkpointing)
    layers += kept(dims, size, rows, [answer], None, checkpointing=checkpointing)
    # inputs, in float32, of the final norm after each pass, and of the projections before and after the weaver
    inputs = answer.new + 2 * sum(one.new for one in woven)
    ends = rows * (shape.completion * size + inputs * FLOAT) * dims.hidden_size
    # beside a slice's logits: their log-probabilities, and the gradient
    logits = 3 * label_logits(dims, rows * shape.completion)
    transient = max(logits, widest(dims, size, rows, answer))
    if checkpointing:
        again = max(kept_by_layer(dims, size, rows, one, adapter) for one in [*woven, answer])
        transient = max(transient, again + widest(dims, size, rows, answer))
    caches = rows * shape.positions * keys_and_values(dims, size)  # of the reasoner; the weaver's is gone by then
    return Moment("backward", caches, transient, layers - caches, ends)


def label_logits(dims: Dimensions, labels: int) -> int:
    """Bytes, in float32, of the logits that are there at a time for so many labels."""
    return min(labels, LABELS_AT_ONCE) * dims.vocab_size * FLOAT


def keys_and_values(dims: Dimensions, size: int) -> int:
    """Bytes of a cached position."""
    return 2 * dims.num_layers * dims.num_kv_heads * dims.head_dim * size


def _room(first: int, last: int) -> int:
    """Positions of a buffer that was made for `first` positions, or the least, and has grown to hold `last`."""
    room = max(first, CACHE_GROWTH)
    return room + max(0, -(-(last - room) // CACHE_GROWTH)) * CACHE_GROWTH
