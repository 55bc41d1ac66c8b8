"""Generation at several widths: transformers' `generate`, our evaluation of the base, and ours with the weaver.

Every row goes on for the same number of tokens. With the weaver, latents stand after the prompt and five times in the
answer, at other tokens in each row.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import GenerationConfig

from memgen.contract.config import RunConfig, stage_class
from memgen.contract.planner.shapes import Shape
from memgen.contract.presets import Dimensions, Preset
from memgen.doctor.card import peak
from memgen.doctor.card.bench import Bench, seconds_of
from memgen.doctor.card.random_model import prompts, random_base, regularly, woven
from memgen.model.base import BaseModel
from memgen.model.generation import generate_greedy, pad_left
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import generate_woven

WARM_UP = 6  # tokens


def run(bench: Bench) -> None:
    """The step."""
    preset, widths = bench.sizes.models[0], bench.sizes.widths
    names = [f"{kind} {width}" for width in widths for kind in ("transformers", "base", "weaver")]
    if not bench.pending(*names):
        return
    base = random_base(bench, preset)
    for width in widths:
        bench.measure(f"transformers {width}", lambda width=width: transformers(bench, base, preset, width))  # type: ignore[misc]
        bench.measure(f"base {width}", lambda width=width: plainly(bench, base, preset, width))  # type: ignore[misc]
    model = woven(base)
    for width in widths:
        bench.measure(f"weaver {width}", lambda width=width: weaving(bench, model, preset, width), limit=120)  # type: ignore[misc]


def transformers(bench: Bench, base: BaseModel, preset: Preset, rows: int, tokens: int | None = None) -> dict[str, Any]:
    """transformers' cached greedy `generate`."""
    return _timed(
        bench, preset, rows, "base", tokens, lambda count, _: continue_plainly(base, _rows(bench, rows), count)
    )


def plainly(bench: Bench, base: BaseModel, preset: Preset, rows: int, tokens: int | None = None) -> dict[str, Any]:
    """What `evaluate` does with the base."""

    def work(count: int, on_pass: Callable[[], None]) -> None:
        generate_greedy(base, _rows(bench, rows), count, lambda *_: None, on_pass=on_pass)

    return _timed(bench, preset, rows, "base", tokens, work)


def weaving(bench: Bench, model: MemGenModel, preset: Preset, rows: int, tokens: int | None = None) -> dict[str, Any]:
    """What `evaluate` does with the weaver."""

    def work(count: int, on_pass: Callable[[], None]) -> None:
        weave(bench, model, rows, count, on_pass)

    return _timed(bench, preset, rows, "weaver", tokens, work)


def weave(
    bench: Bench,
    model: MemGenModel,
    rows: int,
    tokens: int,
    on_pass: Callable[[], None] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Continue random prompts with latents at regular places."""
    ids = [torch.tensor(prompt, device=bench.device) for prompt in _rows(bench, rows)]
    choose = regularly(bench.sizes.every, bench.sizes.every // 4)
    generate_woven(model, ids, tokens, trigger=False, choose=choose, on_pass=on_pass, should_stop=should_stop)


def continue_plainly(base: BaseModel, rows: list[list[int]], tokens: int) -> None:
    """transformers' `generate`, to the length limit."""
    ids, mask = pad_left(rows, base.pad_id)
    config = GenerationConfig(max_new_tokens=tokens, do_sample=False, pad_token_id=base.pad_id, use_cache=True)
    with torch.inference_mode():
        base.model.generate(  # type: ignore[operator]
            input_ids=ids.to(base.device), attention_mask=mask.to(base.device), generation_config=config
        )


def read_per_pass(dims: Dimensions, rows: int, positions: int, size: int) -> int:
    """Bytes that a decode pass can't do without: the weights, the head's among them, and the rows' keys and values."""
    tied = 1 if dims.tied_embeddings else 2
    weights = dims.parameters - (tied - 1) * dims.vocab_size * dims.hidden_size
    cached = 2 * dims.num_layers * dims.num_kv_heads * dims.head_dim
    return size * (weights + rows * positions * cached)


def _rows(bench: Bench, rows: int) -> list[list[int]]:
    return prompts(rows, bench.sizes.prompt, bench.sizes.shortest_prompt)


def _timed(
    bench: Bench,
    preset: Preset,
    rows: int,
    setting: str,
    tokens: int | None,
    work: Callable[[int, Callable[[], None]], None],
) -> dict[str, Any]:
    count = tokens or bench.sizes.tokens
    work(WARM_UP, lambda: None)
    peak.reset(bench.device)
    ends: list[float] = []
    began = time.perf_counter()
    took = seconds_of(bench.device, lambda: work(count, lambda: ends.append(time.perf_counter())))
    passes = [after - before for before, after in zip([began, *ends], ends, strict=False)]
    usual = statistics.median(passes[2:]) if len(passes) > 4 else took / count
    needed = read_per_pass(preset.dimensions, rows, bench.sizes.prompt + count // 2, bench.dtype.itemsize)
    speed = bench.result("card", "bandwidth").get("copy_gb_per_s")
    return {
        "rows": rows,
        "tokens": count,
        "seconds": took,
        "tokens_per_s": rows * count / took,
        "passes": len(passes) or count,
        "pass_ms": 1e3 * usual,
        "pass_ms_tenths": [1e3 * one for one in statistics.quantiles(passes[2:], n=10)] if len(passes) > 12 else [],
        "first_passes_ms": [1e3 * one for one in passes[:3]],
        "needed_gb_per_pass": needed / 1e9,
        "bandwidth_share": needed / usual / 1e9 / speed if speed else None,
        **peak.against_plan(
            bench.device, _config(preset, setting, rows, count), preset, _shape(bench, setting, rows, count)
        ),
    }


def _config(preset: Preset, setting: str, rows: int, tokens: int) -> RunConfig:
    fields = {
        "stage": "evaluate",
        "preset": preset.name,
        "setting": setting,
        "checkpoint": None if setting == "base" else "none",
        "batch_size": rows,
        "max_completion_length": tokens,
        "dtype": "bfloat16",
    }
    return stage_class("evaluate").model_validate(fields)


def _shape(bench: Bench, setting: str, rows: int, tokens: int) -> Shape:
    if setting == "base":
        return Shape(rows, bench.sizes.prompt, tokens, prompt_insertions=0, insertions=0)
    return Shape(rows, bench.sizes.prompt, tokens, insertions=min(5, tokens // bench.sizes.every))
