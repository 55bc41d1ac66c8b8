"""`memgen memory`: what a run needs, part by part, and whether given GPUs hold it. Imports no torch."""

from pathlib import Path
from typing import Any

from memgen.contract.config import RunConfig, parse_config
from memgen.contract.config_text import field_value
from memgen.contract.errors import BadInput
from memgen.contract.manifest import MANIFEST, read_manifest
from memgen.contract.planner.activations import ATTENTION
from memgen.contract.planner.memory import MemoryPlan, bytes_per_number, plan
from memgen.contract.planner.parts import Parts, parts_in, parts_of
from memgen.contract.planner.placement import gib, place, share
from memgen.contract.planner.width import rows_of_a_process, rows_that_fit
from memgen.contract.presets import Preset, get_preset
from memgen.contract.stages import find_stage, stage_of
from memgen.contract.width import MOST_ROWS

ANY_CHECKPOINT = "any"  # stands for a checkpoint of the usual lengths where a stage needs one
DEVICES = ("cpu", "cuda")
MOST_GPUS, MOST_GIB = 1024, 100_000


def config_of(stage: str, given: dict[str, Any], settings: list[str]) -> RunConfig:
    """The config that the options and `key=value` settings describe.

    Raises:
        BadInput: an unknown stage, key or preset, or a value that can't be used.
    """
    data: dict[str, Any] = {"stage": stage, **{name: value for name, value in given.items() if value is not None}}
    known = find_stage(stage)
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInput(
                "bad_setting",
                "a setting is a config field, =, and its value",
                field="--set",
                value=text,
                way_out="E.g. `--set max_completion_length=512`.",
            )
        data[key] = field_value([known.config] if known else [], key, value)
    if known and known.need(data.get("setting", next(iter(known.needs)))):
        data.setdefault("checkpoint", ANY_CHECKPOINT)
    return parse_config(data)


def report(config: RunConfig, device: str, gpus: int, gpu_memory: float | None) -> list[str]:
    """Lines that say what a run needs.

    Args:
        config: of the run.
        device: `cpu` or `cuda`.
        gpus: how many of them the run may have.
        gpu_memory: GiB of each GPU; None says nothing of whether they hold it.

    Raises:
        BadInput: `bad_device`, or numbers that no GPU has.
    """
    _check(device, gpus, gpu_memory)
    preset = get_preset(config.preset)
    start = _start(config)
    if config.width is None and device == "cuda" and gpu_memory is not None:
        free = [int(gpu_memory * 2**30)] * gpus
        most = rows_of_a_process(config, config.num_questions or MOST_ROWS)
        config = config.with_width(max(1, rows_that_fit(config, preset, free, most, start)))
    need = plan(config, preset, device, start=start)
    lines = [*_assumed(config, preset, device, parts_of(config, start)), "", *_table(need)]
    if gpu_memory is not None:
        lines += ["", *_verdict(config, need, gpus, gpu_memory)]
    return lines


def _start(config: RunConfig) -> Parts | None:
    """What the folder of a checkpoint has, where the config names one; else what checkpoints usually have counts."""
    folder = Path(config.checkpoint or ANY_CHECKPOINT)
    return parts_in(read_manifest(folder)) if (folder / MANIFEST).exists() else None


def _check(device: str, gpus: int, gpu_memory: float | None) -> None:
    if device not in DEVICES:
        raise BadInput(
            "bad_device", "no device of this name", field="--device", value=device, way_out="Use cpu or cuda."
        )
    if not 1 <= gpus <= MOST_GPUS:
        raise BadInput(
            "bad_gpus", "no slot has so many GPUs", field="--gpus", value=gpus, way_out=f"Use 1 to {MOST_GPUS}."
        )
    if gpu_memory is not None and not 0 < gpu_memory < MOST_GIB:
        raise BadInput(
            "bad_gpus", "no GPU has so much", field="--gpu-memory", value=gpu_memory, way_out="E.g. 24 for 24 GiB."
        )
    if device == "cpu" and (gpu_memory is not None or gpus > 1):
        raise BadInput(
            "bad_device", "a CPU has no GPUs", field="--device", value=device, way_out="Leave out --gpus, or use cuda."
        )


def _assumed(config: RunConfig, preset: Preset, device: str, parts: Parts) -> list[str]:
    if config.width is None:
        config = config.with_width(1 if device == "cuda" else config.usual_width)
    shape = stage_of(config).memory.batch(config, parts)
    what = f"{config.stage} {config.measured}".strip()
    number = {2: "bfloat16", 4: "float32"}[bytes_per_number(config.dtype, device)]
    rows = f"{shape.rows} row{'' if shape.rows == 1 else 's'} of {shape.prompt} prompt"
    rows += f" and {shape.completion} completion tokens"
    if config.has_latents:
        rows += f", {shape.prompt_insertions + shape.insertions} insertions with {shape.latents} latents"
    return [
        f"{what} of {preset.name} on {device}, weights in {number}",
        f"rows       {rows}",
        f"attention  {ATTENTION[device]}",
        *(f"{name:10} LoRA of rank {lora.rank} on {', '.join(lora.targets)}" for name, lora in parts.loras.items()),
    ]


def _table(need: MemoryPlan) -> list[str]:
    moment = need.widest
    rows = [
        ("weights", need.weights, ""),
        ("trainables", need.trainables, "adapters, latents, projections and head in float32, untrained ones too"),
        ("gradients", need.gradients, ""),
        ("optimizer", need.optimizer, "AdamW's two moments"),
        ("activations", need.activations, _activations(need)),
        ("caches", need.caches, "keys and values"),
        ("allocator", need.allocator, "holes in the heap of a training on a CPU"),
        ("process", need.process, "interpreter and libraries, on a GPU its context"),
    ]
    lines = [f"{name:12}{size / 2**30:9.2f} GiB   {note}".rstrip() for name, size, note in rows]
    return [*lines, f"{'together':12}{need.total / 2**30:9.2f} GiB   at its widest moment: {moment.name}"]


def _activations(need: MemoryPlan) -> str:
    kept = need.activations - need.widest.transient
    return f"{gib(kept)} kept for backward, {gib(need.widest.transient)} in passing" if kept else "in passing"


def _verdict(config: RunConfig, need: MemoryPlan, gpus: int, gpu_memory: float) -> list[str]:
    memory = [int(gpu_memory * 2**30)] * gpus
    each = f"{gpus} GPUs of {gpu_memory:g} GiB" if gpus > 1 else f"a GPU of {gpu_memory:g} GiB"
    match place(need, memory):
        case "parallel":
            return ["One GPU holds the run" + (f"; {gpus} can work on it side by side." if gpus > 1 else ".")]
        case "spread":
            return [f"Its layers are spread over the {gpus} GPUs, at most {gib(share(need, gpus))} on each."]
    also = f", spread over them {gib(share(need, gpus))} on each" if gpus > 1 else ""
    return [f"It does not fit on {each}: one needs {gib(need.total)}{also}.", _what_to_lower(config, need, memory)]


def _what_to_lower(config: RunConfig, need: MemoryPlan, memory: list[int]) -> str:
    """The fields that lower the largest parts, or that none does."""
    if need.total - need.activations - need.caches > sum(memory):
        smaller = "a smaller model, or more or larger GPUs"
        return f"Choose dtype bfloat16, {smaller}." if config.dtype == "float32" else f"Choose {smaller}."
    ways = f"Lower {config.width_field} or max_completion_length"
    if getattr(config, "gradient_checkpointing", True) is False:  # it has this way out and does not use it
        return f"{ways}, or set gradient_checkpointing."
    return f"{ways}."
