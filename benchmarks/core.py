"""`python -m benchmarks.core --json FILE [--only KEY] [--model tiny]`: our cost beside the plain way, as ratios.

Both sides of a ratio are measured in turn in one process after a warm-up. Each is in the file as soon as it ends.
Exit code 1 if a median is above its limit.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import evaluate, generate, gold, latents, memory, sft_step, trigger_step, weaver_grpo_step
from benchmarks.machine import describe
from benchmarks.ratio import Ratio
from memgen.contract.rundir import write_json
from memgen.model.base import use_threads


def _lora_sft(name: str) -> Ratio:
    from benchmarks import lora_sft  # with trl, which takes seconds to import

    return lora_sft.run(name)


KEYS: dict[str, Callable[[str], Ratio]] = {
    "sft_step": sft_step.run,
    "generate": generate.run,
    "generate_growth": generate.run_growth,
    "evaluate": evaluate.run,
    "ltpo": latents.run,
    "trigger_grpo": trigger_step.run,
    "weaver_grpo": weaver_grpo_step.run,
    "nll": gold.run,
    "nll_weaver": gold.run_weaver,
    "lora_sft": _lora_sft,
    "memory": memory.run,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and say by the exit code whether all limits hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.core", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="figures go there, key by key")
    parser.add_argument("--only", choices=KEYS, action="append", metavar="KEY", help=f"of {', '.join(KEYS)}")
    parser.add_argument("--model", default="demo", help="`demo` (default), `tiny` or a preset's name")
    given = parser.parse_args(arguments)
    use_threads()
    print(" ".join(f"{key}={value}" for key, value in describe().items()))
    holds = True
    for key in given.only or KEYS:
        ratio = KEYS[key](given.model)
        save(given.json, key, {**ratio.as_json(), "model": given.model, **describe()})
        print(f"{key:16} {say(ratio)}", flush=True)
        holds &= ratio.median <= ratio.limit
    return 0 if holds else 1


def say(ratio: Ratio) -> str:
    """One line."""
    return (
        f"median {ratio.median:.3f} min {ratio.least:.3f} max {ratio.most:.3f} limit {ratio.limit} "
        f"{'ok' if ratio.median <= ratio.limit else 'ABOVE'} ({ratio.ours:.4g} / {ratio.theirs:.4g}, "
        f"{ratio.rounds} rounds)"
    )


def save(path: Path, key: str, figures: dict[str, object]) -> None:
    """Add a key to the file and keep the others."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_json(path, {**known, key: figures})


if __name__ == "__main__":
    sys.exit(main())
