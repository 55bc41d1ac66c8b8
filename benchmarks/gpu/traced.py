"""Where the time of a decode pass goes: kernels, launches, copies and waits; and what the GPU alone would need.

Passes of the base and of weaving are traced after the prompts. Beside them stands a pass of the base as a CUDA graph,
which no launch holds up: what is left is the GPU's.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from transformers import AttentionInterface, AttentionMaskInterface, StaticCache
from transformers.masking_utils import sdpa_mask

from memgen.doctor.card.bench import Bench, seconds_of, synchronize
from memgen.doctor.card.random_model import prompts, random_base, woven
from memgen.doctor.card.speed import weave
from memgen.model.attention import IMPLEMENTATION
from memgen.model.base import BaseModel
from memgen.model.generation import generate_greedy

GROUPED = "measured_grouped"
LISTED = 12  # kernels and operations by time
NAME = 120  # characters of a kernel's name that are kept


def run(bench: Bench) -> None:
    """The step."""
    preset, widths = bench.sizes.models[0], bench.sizes.widths
    names = [f"{kind} {width}" for width in widths for kind in ("weaver", "base", "graph")]
    if not bench.pending(*names):
        return
    base = random_base(bench, preset)
    for width in widths:
        bench.measure(f"graph {width}", lambda width=width: graph(bench, base, GROUPED, width))  # type: ignore[misc]
        bench.measure(f"graph, sdpa {width}", lambda width=width: graph(bench, base, "sdpa", width))  # type: ignore[misc]
    for width in widths[:2]:
        bench.measure(f"base {width}", lambda width=width: base_passes(bench, base, width))  # type: ignore[misc]
    model = woven(base)
    for width in widths:
        bench.measure(
            f"weaver {width}",
            lambda width=width: _traced(
                bench, lambda told, ended: weave(bench, model, width, bench.sizes.tokens, told, ended)
            ),  # type: ignore[misc]
            limit=90,
        )
    bench.measure(f"base {widths[-1]}", lambda: base_passes(bench, base, widths[-1]))


def base_passes(bench: Bench, base: BaseModel, width: int) -> dict[str, Any]:
    """Passes of the base's evaluation."""
    rows = prompts(width, bench.sizes.prompt, bench.sizes.shortest_prompt)

    def work(told: Callable[[], None], ended: Callable[[], bool]) -> None:
        generate_greedy(base, rows, bench.sizes.tokens, lambda *_: None, ended, told)

    return _traced(bench, work)


def graph(bench: Bench, base: BaseModel, attention: str, width: int) -> dict[str, Any]:
    """Milliseconds of one decode pass of the base over a static cache: from Python, and as a CUDA graph."""
    slots = bench.sizes.prompt + bench.sizes.tokens
    model: Any = base.model
    model.set_attn_implementation(attention)
    cache = StaticCache(config=model.config, max_cache_len=slots)
    ids = torch.zeros(width, 1, dtype=torch.long, device=bench.device)
    places = torch.full((width, 1), slots // 2, device=bench.device)
    seen = torch.ones(width, 1, 1, slots, dtype=torch.bool, device=bench.device)

    def one_pass() -> torch.Tensor:
        out = model(input_ids=ids, position_ids=places, attention_mask=seen, past_key_values=cache, use_cache=True)
        chosen: torch.Tensor = out.logits.argmax(-1)
        return chosen

    try:
        with torch.inference_mode():
            one_pass()
            from_python = 1e3 * seconds_of(bench.device, one_pass, repeat=5)
            alone = 1e3 * _captured(bench, one_pass) if bench.device.type == "cuda" else None
    finally:
        model.set_attn_implementation(IMPLEMENTATION)
    return {"rows": width, "slots": slots, "from_python_ms": from_python, "graph_ms": alone}


def _captured(bench: Bench, work: Callable[[], object]) -> float:
    """Seconds of the work as a CUDA graph."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        work()
    captured.replay()
    return seconds_of(bench.device, captured.replay, repeat=20)


def _grouped(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one new position to all slots, where each key is read once for the queries that share it."""
    rows, heads, _new, width = query.shape
    shared = query.reshape(rows, key.shape[1], -1, width)
    out = torch.nn.functional.scaled_dot_product_attention(shared, key, value, scale=scaling)
    return out.reshape(rows, heads, 1, width).transpose(1, 2).contiguous(), None


AttentionInterface.register(GROUPED, _grouped)
AttentionMaskInterface.register(GROUPED, sdpa_mask)


def _traced(bench: Bench, work: Callable[[Callable[[], None], Callable[[], bool]], None]) -> dict[str, Any]:
    """Trace some passes of a generation that is then ended."""
    first, count = bench.sizes.traced_from, bench.sizes.traced
    on_gpu = bench.device.type == "cuda"
    tracer = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])])
    ends: list[float] = []

    def told() -> None:
        synchronize(bench.device)
        ends.append(time.perf_counter())
        if len(ends) == first:
            tracer.start()
        if len(ends) == first + count:
            tracer.stop()

    work(told, lambda: len(ends) >= first + count)
    untraced = [
        1e3 * (after - before)
        for before, after in zip(ends[first // 2 : first], ends[first // 2 + 1 : first], strict=False)
    ]
    return {
        "passes": count,
        "untraced_pass_ms": sum(untraced) / len(untraced) if untraced else None,
        "traced_pass_ms": 1e3 * (ends[first + count - 1] - ends[first]) / max(1, count - 1),
        **_summary(tracer, count),
    }


def _summary(tracer: Any, passes: int) -> dict[str, Any]:
    """Counts and milliseconds of one pass, means over the traced ones."""
    kernels: Counter[str] = Counter()
    kernel_us: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    call_us: Counter[str] = Counter()
    operations: Counter[str] = Counter()
    operation_us: Counter[str] = Counter()
    spans: list[tuple[float, float]] = []
    for event in tracer.events():
        span = event.time_range
        if event.device_type == DeviceType.CUDA:
            kernels[event.name[:NAME]] += 1
            kernel_us[event.name[:NAME]] += span.elapsed_us()
            spans.append((span.start, span.end))
        elif event.name.startswith(("cuda", "cu")):
            calls[event.name] += 1
            call_us[event.name] += span.elapsed_us()
        else:
            operations[event.name] += 1
            operation_us[event.name] += event.self_cpu_time_total
    copies = {name: count for name, count in kernels.items() if name.startswith(("Memcpy", "Memset"))}
    return {
        "kernels": (sum(kernels.values()) - sum(copies.values())) / passes,
        "copies": {name: count / passes for name, count in copies.items()},
        "gpu_busy_ms": _covered(spans) / passes / 1e3,
        "launch_ms": sum(us for name, us in call_us.items() if "Launch" in name) / passes / 1e3,
        "runtime_calls": _list(calls, call_us, passes),
        "largest_kernels": _list(kernels, kernel_us, passes),
        "operations": sum(operations.values()) / passes,
        "largest_operations": _list(operations, operation_us, passes),
        "waits": {
            name: operations[name] / passes
            for name in ("aten::item", "aten::_local_scalar_dense", "aten::copy_", "aten::cat", "aten::nonzero")
        },
    }


def _list(counts: Counter[str], microseconds: Counter[str], passes: int) -> list[dict[str, Any]]:
    return [
        {"name": name, "count": counts[name] / passes, "ms": us / passes / 1e3}
        for name, us in microseconds.most_common(LISTED)
    ]


def _covered(spans: list[tuple[float, float]]) -> float:
    """Microseconds in which at least one kernel ran."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
