"""Whether packed reading computes what a base model computes: tried on a few rows, once per model and software.

A family may do in its attention, or around it, what `attention` leaves out: a window, no positions in some layers,
scaled embeddings, capped logits. What transformers hands over by name is refused there; the rest shows as logits that
differ from those of transformers' own eager attention, which each family writes out. How much rounding does is seen
from transformers' other way, torch's `sdpa`: in bfloat16 it is some 2 % of the logits' size.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from memgen.contract.errors import BadInput
from memgen.contract.rundir import models_dir, write_json
from memgen.model.attention import IMPLEMENTATION, too_narrow, unsupported, window_of
from memgen.model.base import BaseModel
from memgen.model.fetch import CONFIG, LocalModel
from memgen.model.row_cache import RowStream
from memgen.model.stream import Stream

RULES = 1  # of this check; a number of its own for each set of rules, as what passed is remembered
LENGTHS = (5, 33, 18)  # tokens of the rows that are tried
EXACT = 1e-4  # distance of logits, over their size, that is always allowed: float32 has some 1e-6
ROUNDING = 2.0  # times the distance between two plain ways to compute them; packed reading has 0.9 to 1.1 times that
KINDS = {"full_attention", "sliding_attention"}  # of layers; a window is left out, for rows that are not longer
BY_ROWS_BESIDE = {"dynamic", "longrope"}  # rotary positions that depend on the longest row of a pass


def check_window(base: BaseModel, longest: int) -> None:
    """Refuse a base whose layers see less than the longest row of a run, in positions, may have.

    Raises:
        BadInput: `unsupported_family`.
    """
    window = window_of(base.model.config)
    if window is not None and longest > window:
        raise too_narrow(base.model.config, window, longest)


def check_reading(base: BaseModel, source: LocalModel, home: Path) -> None:
    """Refuse a base that packed reading would compute wrongly; what has passed is remembered below `home`.

    Args:
        base: as it was loaded, without adapters.
        source: its weights.
        home: of this machine.

    Raises:
        BadInput: `unsupported_family`, with what differs.
    """
    passed = _checked_dir(home) / f"{_key(base, source)}.json"
    if passed.exists():
        return
    config: Any = base.model.config
    other = sorted(set(getattr(config, "layer_types", None) or ()) - KINDS)
    if other:
        raise unsupported(config, f"some of its layers are of the kind {', '.join(other)}")
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") in BY_ROWS_BESIDE:
        raise unsupported(config, f"its rotary positions ({rope['rope_type']}) depend on the rows beside a row")
    apart, rounding = logits_apart(base)
    if not apart <= max(EXACT, ROUNDING * rounding):
        raise unsupported(
            config,
            f"its logits differ from the plain model's by {apart:.2g} of their size, and rounding by {rounding:.2g}",
        )
    write_json(passed, {"model": source.identity, "apart": apart, "rounding": rounding})


@torch.no_grad()
def logits_apart(base: BaseModel) -> tuple[float, float]:
    """Distance of packed reading's logits from the plain model's, and that between two plain ways: over their size.

    Rows of several lengths are read in two pieces each, by the caches of generation and by those of training.

    Raises:
        BadInput: `unsupported_family`, if the model can't be read so at all.
    """
    drawn = torch.Generator().manual_seed(0)
    vocabulary = min(len(base.tokenizer), base.model.config.vocab_size)
    rows = [torch.randint(vocabulary, (length,), generator=drawn).to(base.device) for length in LENGTHS]
    rounded = _plain(base, rows)
    with _eager(base):
        plain = _plain(base, rows)
    try:
        packed = _packed(base, rows)
    except BadInput:
        raise
    except Exception as error:  # a layer that does not pass on what it was given has errors of many kinds
        reason = (str(error).splitlines() or [""])[0][:200]
        raise unsupported(
            base.model.config, f"its layers can't be read row by row ({type(error).__name__}: {reason})"
        ) from error
    return max(_apart(logits, plain) for logits in packed), _apart(rounded, plain)


def _plain(base: BaseModel, rows: list[torch.Tensor]) -> torch.Tensor:
    """Logits (N, V) of all rows' tokens, each row read alone by transformers' own code."""
    return torch.cat([base.model(input_ids=ids[None], use_cache=False).logits[0].float() for ids in rows])


def _packed(base: BaseModel, rows: list[torch.Tensor]) -> list[torch.Tensor]:
    """Logits (N, V) of all rows' tokens, by each kind of cache."""
    decoder, head = base.model.get_decoder(), base.model.get_output_embeddings()
    embedded = [base.model.get_input_embeddings()(ids) for ids in rows]
    halves = [[own[: len(own) // 2] for own in embedded], [own[len(own) // 2 :] for own in embedded]]
    growing, training = RowStream(decoder, len(rows)), Stream(decoder, len(rows))
    kinds = [[growing.read(range(len(rows)), part) for part in halves], [training.read(part) for part in halves]]
    hidden = [torch.cat([torch.cat(parts) for parts in zip(*pieces, strict=True)]) for pieces in kinds]
    return [head(own).float() for own in hidden]


def _apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Relative distance of logits (N, V), each position's without its mean, which no probability depends on."""
    ours, theirs = (own - own.mean(-1, keepdim=True) for own in (ours.to(theirs.device), theirs))
    return float((ours - theirs).norm() / theirs.norm())


@contextmanager
def _eager(base: BaseModel) -> Iterator[None]:
    before = base.model.config._attn_implementation
    base.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        base.model.set_attn_implementation(before)


def _checked_dir(home: Path) -> Path:
    return models_dir(home) / "checked"


def _key(base: BaseModel, source: LocalModel) -> str:
    """Names model, config, numbers, device and software; anything else than these can't change the outcome."""
    config = (source.folder / CONFIG).read_bytes()
    what = (RULES, IMPLEMENTATION, source.identity, base.model.dtype, base.device.type, torch.__version__)
    text = "\n".join(map(str, (*what, version("transformers"), hashlib.sha256(config).hexdigest())))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
