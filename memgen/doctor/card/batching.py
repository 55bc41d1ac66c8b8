"""transformers' continuous batching at the same widths: all rows at once, and as it likes."""

from typing import Any

import torch
from transformers import GenerationConfig

from memgen.doctor.card import peak
from memgen.doctor.card.bench import Bench, seconds_of
from memgen.doctor.card.random_model import NEVER, prompts, random_base


def run(bench: Bench) -> None:
    """The step."""
    if bench.device.type != "cuda":
        return
    for width in bench.sizes.widths:
        bench.measure(f"continuous {width}", lambda width=width: continuous(bench, width), limit=90)  # type: ignore[misc]


def continuous(bench: Bench, width: int) -> dict[str, Any]:
    """Seconds for as many prompts as the width, once to warm up and once measured."""
    from transformers import ContinuousBatchingConfig

    base = random_base(bench, bench.sizes.models[0], "sdpa")
    model: Any = base.model
    rows = prompts(width, bench.sizes.prompt, bench.sizes.shortest_prompt)
    config = GenerationConfig(max_new_tokens=bench.sizes.tokens, do_sample=False, eos_token_id=NEVER, pad_token_id=0)
    batching = ContinuousBatchingConfig(max_memory_percent=0.5)
    lengths: list[int] = []

    def work() -> None:
        outputs = model.generate_batch(inputs=rows, generation_config=config, continuous_batching_config=batching)
        lengths[:] = [len(one.generated_tokens) for one in outputs.values()]

    peak.reset(bench.device)
    first = seconds_of(bench.device, work)
    took = seconds_of(bench.device, work)
    return {
        "rows": width,
        "first_seconds": first,
        "seconds": took,
        "tokens": sum(lengths),
        "tokens_per_s": sum(lengths) / took,
        "complete": lengths == [bench.sizes.tokens] * width,
        "reserved_gib": torch.cuda.max_memory_reserved() / 2**30,
    }
