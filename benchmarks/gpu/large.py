"""The larger presets: whether they run at all, how fast a pass is, and memory against plan."""

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.random_model import random_base, woven
from benchmarks.gpu.speed import plainly, weaving
from benchmarks.gpu.stages import weaver_step
from memgen.contract.presets import Preset


def run(bench: Bench) -> None:
    """The step."""
    for preset in bench.sizes.models[1:]:
        _one(bench, preset)


def _one(bench: Bench, preset: Preset) -> None:
    name, tokens = preset.short_name, bench.sizes.large_tokens
    narrow, wide = sorted(bench.sizes.widths)[:2]
    rows = bench.sizes.sft_rows[0]
    if not bench.pending(f"{name} base {narrow}", f"{name} base {wide}", f"{name} weaver {wide}", f"{name} sft {rows}"):
        return
    base = random_base(bench, preset)
    bench.measure(f"{name} base {narrow}", lambda: plainly(bench, base, preset, narrow, tokens))
    bench.measure(f"{name} base {wide}", lambda: plainly(bench, base, preset, wide, tokens))
    model = woven(base)
    bench.measure(f"{name} sft {rows}", lambda: weaver_step(bench, model, preset, rows, steps=2))
    bench.measure(f"{name} weaver {wide}", lambda: weaving(bench, model, preset, wide, tokens))
