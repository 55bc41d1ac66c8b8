"""Memory and disk against what runs need of them, by the planner's arithmetic."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from memgen.contract.demo import small_spec
from memgen.contract.pipeline import PipelineSpec, plan_pipeline
from memgen.contract.planner.disk import output_bytes
from memgen.contract.planner.memory import plan, weights_bytes
from memgen.contract.presets import Preset, get_preset
from memgen.contract.rows import num_rows
from memgen.doctor.finding import Finding, error, ok, warning


def memory(available: int, total: int) -> Finding:
    """Main memory against what the small pipeline needs of it on the CPU.

    Args:
        available: bytes that programs could still have.
        total: bytes.
    """
    needs = {name: plan(one, get_preset(one.preset), "cpu").total for name, one in plan_pipeline(small_spec()).items()}
    largest = max(needs, key=lambda name: needs[name])
    seen = f"{_gb(available)} of {_gb(total)} available"
    need = f"the small pipeline's {largest} needs {_gb(needs[largest])} on the CPU"
    if available < needs[largest]:
        return warning("memory", f"{seen}, and {need}", "End other programs, or run on a GPU.")
    return ok("memory", f"{seen}; {need}")


def outputs_of(presets: Mapping[str, Preset]) -> dict[str, int]:
    """Bytes that a whole pipeline with its usual settings may write, by model."""
    pipelines = {name: plan_pipeline(PipelineSpec(shared={"preset": name})).values() for name in presets}
    return {
        name: sum(output_bytes(one, presets[name], num_rows(one)) for one in configs)
        for name, configs in pipelines.items()
    }


def weights_of(presets: Mapping[str, Preset]) -> dict[str, int]:
    """Bytes of the weights as the hub has them, by model that comes from there."""
    return {name: weights_bytes(one) for name, one in presets.items() if one.repo is not None}


def disk(subject: str, place: Path, free: int, what: str, needs: Mapping[str, int]) -> Finding:
    """Free disk against what models need of it.

    Args:
        subject: of the finding.
        place: a folder on that disk.
        free: bytes.
        what: is written there, e.g. `the weights`.
        needs: bytes by model.
    """
    fitting = [name for name in needs if needs[name] <= free]
    smallest = min(needs, key=lambda name: needs[name])
    seen = f"{_gb(free)} free at {place}"
    way_out = f"Free some space, or let {place} be on a larger disk."
    if not fitting:
        return error(subject, f"{seen}, and {what} of {smallest} may take {_gb(needs[smallest])}", way_out)
    largest = max(fitting, key=lambda name: needs[name])
    enough = f"enough for {what} of {len(fitting)} of {len(needs)} models, up to {largest} ({_gb(needs[largest])})"
    if fitting == [smallest] != list(needs):
        return warning(subject, f"{seen}, {enough}", way_out)
    return ok(subject, f"{seen}, {enough}")


def free_at(place: Path) -> int:
    """Bytes that are free on the disk of a folder, which need not be there yet."""
    path = place.expanduser().absolute()
    there = next(one for one in (path, *path.parents) if one.exists())
    return shutil.disk_usage(there).free


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
