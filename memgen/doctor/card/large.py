"""The larger presets: whether they run at all, how fast a pass is, and memory against plan."""

from memgen.contract.planner.memory import weights_bytes
from memgen.contract.presets import Preset
from memgen.doctor.card.bench import Bench
from memgen.doctor.card.random_model import random_base, woven
from memgen.doctor.card.speed import plainly, weaving
from memgen.doctor.card.stages import weaver_step


def run(bench: Bench) -> None:
    """The step."""
    for preset in bench.sizes.models[1:]:
        _one(bench, preset)


def _one(bench: Bench, preset: Preset) -> None:
    name, tokens = preset.short_name, bench.sizes.large_tokens
    narrow, wide = sorted(bench.sizes.widths)[:2]
    rows = bench.sizes.sft_rows[0]
    names = [f"{name} base {narrow}", f"{name} base {wide}", f"{name} sft {rows}", f"{name} weaver {wide}"]
    weights = weights_bytes(preset)
    if weights > bench.total_memory:
        bench.leave_out(*names, why=f"its weights take {weights / 2**30:.0f} GiB, more than the card has")
    if not bench.pending(*names):
        return
    base = random_base(bench, preset)
    bench.measure(f"{name} base {narrow}", lambda: plainly(bench, base, preset, narrow, tokens))
    bench.measure(f"{name} base {wide}", lambda: plainly(bench, base, preset, wide, tokens))
    model = woven(base)
    bench.measure(f"{name} sft {rows}", lambda: weaver_step(bench, model, preset, rows, steps=2))
    bench.measure(f"{name} weaver {wide}", lambda: weaving(bench, model, preset, wide, tokens))
