"""How a stage comes by its base model and the checkpoint that its config names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memgen.contract.config import RunConfig
from memgen.contract.manifest import Manifest, read_manifest
from memgen.contract.planner.parts import parts_in, parts_of
from memgen.contract.planner.shapes import longest_row
from memgen.contract.presets import get_preset
from memgen.contract.rundir import checkpoint_dir, write_json
from memgen.contract.stage_configs import INSERTION, LENGTHS
from memgen.contract.weaver_shape import other_shape
from memgen.environment import describe, same_conditions
from memgen.model.base import BaseModel, load_base, use_threads
from memgen.model.checkpoint import load_checkpoint
from memgen.model.checkpoint_files import verify
from memgen.model.fetch import fetch_model, fetched
from memgen.model.memgen_model import MemGenModel
from memgen.model.reading_check import check_reading, check_window
from memgen.stages.context import Context
from memgen.stages.width import Width, choose_width


@dataclass(frozen=True)
class Loaded:
    """The base model of a run, and the checkpoint that its config names."""

    base: BaseModel
    identity: str
    """Name of the exact base weights."""
    checkpoint: Path | None
    manifest: Manifest | None
    """Of that checkpoint."""
    width: Width
    """How many rows are worked on at the same time."""

    def model(self, config: RunConfig, folder: Path) -> MemGenModel:
        """The model of a checkpoint: the one that the config names, or one that this run saved.

        Raises:
            BadInput: it does not fit the base or the config, or is damaged.
        """
        wanted = config.model_dump(include={*LENGTHS, *INSERTION})
        return load_checkpoint(folder, self.base, self.identity, wanted)


def load(
    config: RunConfig,
    context: Context,
    conditions: tuple[str, ...],
    also: Mapping[str, Any] | None = None,
    *,
    may_halve: bool = False,
) -> Loaded:
    """Load the base and find the checkpoint; writes `environment.json`.

    Args:
        config: of the run.
        context: of the run.
        conditions: what of the environment must be as in the attempt that is resumed.
        also: what the environment is to say beside what it always does, or in its place.
        may_halve: whether the stage can go on with fewer rows at the same time where memory runs out.

    Raises:
        BadInput: the model, the checkpoint or the attempt to resume can't be used.
        Stopped: a stop was asked for.
    """
    folder = checkpoint_dir(context.run_dir, context.home, config.checkpoint) if config.checkpoint else None
    manifest = verify(folder) if folder else None
    threads = use_threads()
    with context.team.main_first():
        source = fetched(context.run_dir) or fetch_model(
            get_preset(config.preset), config.revision, context.home, context.monitor
        )
    context.team.check_stop(context.stop)
    start = parts_in(manifest) if manifest else None
    width = choose_width(config, context, start, may_halve=may_halve)
    context.monitor.phase("load", source.identity)
    base = load_base(source, config.dtype, plain=not config.has_latents)
    if config.has_latents:
        check_window(base, longest_row(config, parts_of(config, start)))
        check_reading(base, source, context.home)
    parent = manifest.content_hash if manifest else None
    environment = describe(config, base, source, threads, parent, context.team, context.rows_hash)
    environment |= {config.width_field: width.first, **(also or {})}
    if context.resume is not None and context.resume.holds_work():
        same_conditions(environment, context.resume, conditions)
    if context.team.is_main:
        write_json(context.run_dir.environment, environment)
    return Loaded(base, source.identity, folder, manifest, width)


def refuse_other_shape(config: RunConfig, folder: Path) -> None:
    """Refuse to train a checkpoint's weaver further whose rank, modules or variant are not those of the config.

    Raises:
        BadInput: `other_lora` or `other_weaver`.
    """
    problem = other_shape(read_manifest(folder), config.model_dump())
    if problem is not None:
        raise problem
