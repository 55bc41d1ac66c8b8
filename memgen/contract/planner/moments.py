"""The moments at which a run of each stage may need most memory, in bytes: arithmetic, no torch."""

from dataclasses import dataclass

from memgen.contract.config import RunConfig
from memgen.contract.planner.activations import FLOAT, Adapter, kept, kept_by_layer, widest
from memgen.contract.planner.shapes import Pass, Shape, answer_pass, has_latents, number_of, weaver_passes
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import Evaluation, LtpoEvaluateConfig, TriggerGrpoConfig, WeaverSftConfig

CACHE_GROWTH = 256  # positions by which a key-value buffer of generation grows at least


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


def moments(config: RunConfig, dims: Dimensions, size: int, device: str, shape: Shape) -> list[Moment]:
    """The moments of a run at which it may need most, weights in `size` bytes per number."""
    if isinstance(config, WeaverSftConfig):
        return [_weaver_backward(config, dims, size, device, shape)]
    generation = _generation(config, dims, size, shape)
    if isinstance(config, TriggerGrpoConfig):
        return [generation, _trigger_backward(config, dims, size, shape)]
    if isinstance(config, LtpoEvaluateConfig) and config.max_steps:
        return [generation, _latent_search(config, dims, size, shape, generation.caches)]
    return [generation]


def _generation(config: RunConfig, dims: Dimensions, size: int, shape: Shape) -> Moment:
    """Answers under way: a cache per role, and the prompts' way through a layer or the next tokens' logits.

    Reasoner and weaver read the prompts in one pass; a rollout's group reads its prompt once, in less room.
    """
    first = Pass(shape.prompt, shape.prompt)
    positions = shape.positions
    if has_latents(config):
        positions = _room(shape.prompt - 1, shape.positions)
        woven = weaver_passes(shape)
        if woven:
            first = woven[0]
            positions += _room(first.seen, woven[-1].seen)
            if shape.prompt_insertions and not isinstance(config, TriggerGrpoConfig):
                first = Pass(shape.prompt + first.new, first.seen)
        if isinstance(config, TriggerGrpoConfig) or (isinstance(config, Evaluation) and config.uses_trigger):
            positions += _room(shape.prompt, shape.prompt + shape.completion)
    logits = shape.rows * dims.vocab_size * (size + FLOAT)
    transient = max(widest(dims, size, shape.rows, first), logits)
    return Moment("generation", shape.rows * positions * _keys_and_values(dims, size), transient)


def _weaver_backward(config: WeaverSftConfig, dims: Dimensions, size: int, device: str, shape: Shape) -> Moment:
    """The loss is known and nothing has gone back yet: all passes are kept, and log-probabilities at the labels."""
    adapter = Adapter(config.lora_r, dropout=config.lora_dropout > 0, cuda=device == "cuda")
    checkpointing = config.gradient_checkpointing
    rows, woven, answer = shape.rows, weaver_passes(shape), answer_pass(shape)
    layers = kept(dims, size, rows, woven, adapter, checkpointing=checkpointing)
    layers += kept(dims, size, rows, [answer], None, checkpointing=checkpointing)
    logits = rows * shape.completion * dims.vocab_size * FLOAT
    # inputs, in float32, of the final norm behind each pass, and of the projections in front of and behind the weaver
    inputs = answer.new + 2 * sum(one.new for one in woven)
    ends = logits + rows * inputs * dims.hidden_size * FLOAT
    transient = max(2 * logits, widest(dims, size, rows, answer))  # gradients of log-probabilities and of logits
    if checkpointing:
        again = max(kept_by_layer(dims, size, rows, one, adapter) for one in [*woven, answer])
        transient = max(transient, again + widest(dims, size, rows, answer))
    caches = rows * shape.positions * _keys_and_values(dims, size)  # of the reasoner; the weaver's is gone by then
    return Moment("backward", caches, transient, layers - caches, ends)


def _trigger_backward(config: TriggerGrpoConfig, dims: Dimensions, size: int, shape: Shape) -> Moment:
    """The trigger has read the answers for their decisions, and nothing has gone back yet; no logits of tokens."""
    read = Pass(shape.prompt + shape.completion, shape.prompt + shape.completion)
    adapter = Adapter(number_of(config, "lora_r"), dropout=False, cuda=True)
    checkpointing = config.gradient_checkpointing
    layers = kept(dims, size, shape.rows, [read], adapter, checkpointing=checkpointing)
    transient = widest(dims, size, shape.rows, read)
    if checkpointing:
        transient += kept_by_layer(dims, size, shape.rows, read, adapter)
    caches = shape.rows * read.new * _keys_and_values(dims, size)
    return Moment("backward", caches, transient, layers - caches, shape.rows * read.new * dims.hidden_size * FLOAT)


def _latent_search(config: LtpoEvaluateConfig, dims: Dimensions, size: int, shape: Shape, caches: int) -> Moment:
    """All rows' latents are scored at once behind the longest prefix; with `autograd` the way there is kept."""
    latents = max(shape.prompt_latents, shape.inference_latents)
    peek = Pass(latents, shape.positions)
    logits = shape.rows * latents * dims.vocab_size * FLOAT
    if config.update != "autograd":
        return Moment("latent search", caches, 4 * logits)
    layers = kept(dims, size, shape.rows, [peek], None, checkpointing=False)
    transient = max(3 * logits, widest(dims, size, shape.rows, peek))
    return Moment("latent search", caches, transient, layers, logits)


def _keys_and_values(dims: Dimensions, size: int) -> int:
    """Bytes of a cached position."""
    return 2 * dims.num_layers * dims.num_kv_heads * dims.head_dim * size


def _room(first: int, last: int) -> int:
    """Positions of a buffer that was made for `first` positions, or the least, and has grown to hold `last`."""
    room = max(first, CACHE_GROWTH)
    return room + max(0, -(-(last - room) // CACHE_GROWTH)) * CACHE_GROWTH
