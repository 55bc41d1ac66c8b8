"""The columns of a session: those that a checkpoint is good for, and whether columns can be loaded here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlmodel import Session

from backend.services.checkpoints import (
    Source,
    check_parent,
    no_checkpoint,
    source_of,
    start_of,
    why_not,
)
from backend.services.preflight import pin_revision
from memgen.contract.config import InvalidConfig, RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.planner.columns import plan_columns
from memgen.contract.planner.memory import MemoryPlan
from memgen.contract.presets import get_preset
from memgen.contract.stage import Form, Stage
from memgen.contract.stages import forms
from memgen.contract.trying import MOST_COLUMNS, parse_columns


@dataclass(frozen=True)
class Chosen:
    """Columns that can be loaded, with where their checkpoints lie."""

    configs: list[RunConfig]
    sources: list[Source]
    """Where their checkpoints come from."""
    checkpoints: dict[str, str]
    """Folders below the home, by the ids that the configs name."""


def wanted(
    session: Session,
    columns: Sequence[Mapping[str, Any]],
    checkpoint_id: int | None,
    shared: Mapping[str, Any],
    home: Path,
) -> Sequence[Mapping[str, Any]]:
    """The columns that were named, or those of the checkpoint that was named.

    Raises:
        BadInput: `columns_or_checkpoint`, if both were named.
        InvalidConfig: as `usual_columns`.
    """
    if checkpoint_id is None:
        return columns
    if columns:
        raise BadInput(
            "columns_or_checkpoint",
            "columns and a checkpoint whose columns are taken can't both be named",
            field="checkpoint",
            value=checkpoint_id,
            way_out="Leave one of them out; each column names its own checkpoint.",
        )
    return usual_columns(session, checkpoint_id, home, shared)


def usual_columns(session: Session, checkpoint_id: int, home: Path, shared: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The base and what a checkpoint is good for, as the launch forms have it.

    Args:
        session: a transaction.
        checkpoint_id: of the checkpoint.
        home: folder of everything.
        shared: fields that all columns have whose stage knows them.

    Raises:
        InvalidConfig: there is no such checkpoint, or nothing can be measured with it.
    """
    source = source_of(session, checkpoint_id)
    if source is None:
        raise InvalidConfig([no_checkpoint(checkpoint_id)])
    columns: list[dict[str, Any]] = []
    for stage, form in forms().values():
        setting = _setting(session, source, home, stage, form)
        if setting is None or len(columns) == MOST_COLUMNS:
            continue
        column = {"stage": stage.name, "setting": setting, "preset": source.preset}
        column |= {"data": source.data} if source.data else {}
        column |= {"checkpoint": str(source.id)} if stage.need(setting) is not None else {}
        columns.append(column | {name: value for name, value in shared.items() if name in stage.config.model_fields})
    if all("checkpoint" not in column for column in columns):
        child = {"preset": source.preset}
        raise InvalidConfig([why_not(session, source, home, child) or no_checkpoint(checkpoint_id)])
    return columns


def _setting(session: Session, source: Source, home: Path, stage: Stage[Any], form: Form) -> str | None:
    """What of a form's settings can be asked of a checkpoint; None for nothing."""
    if stage.recipe is None or form.setting is None:
        return None
    settings: tuple[str, ...] = (form.setting, *(stage.needs if form.asks_setting else ()))
    for setting in settings:
        child = {"stage": stage.name, "setting": setting, "preset": source.preset}
        if stage.need(setting) is None or why_not(session, source, home, child) is None:
            return setting
    return None


def check_columns(session: Session, columns: Sequence[Mapping[str, Any]], home: Path) -> Chosen:
    """Columns that go together, with checkpoints that suit them; no file is read.

    Raises:
        InvalidConfig: with every problem found, fields named by column.
    """
    configs = parse_columns(columns)
    problems, sources = [], []
    checkpoints: dict[str, str] = {}
    for place, config in enumerate(configs):
        try:
            parent = check_parent(session, config, home)
        except InvalidConfig as error:
            problems += [one.at(f"columns.{place}.{one.field}") for one in error.problems]
            continue
        if parent is not None:
            source, checkpoint = parent
            sources.append(source)
            checkpoints[str(config.checkpoint)] = checkpoint.folder
    if problems:
        raise InvalidConfig(problems)
    return Chosen(configs, sources, checkpoints)


def pin_columns(chosen: Chosen) -> Chosen:
    """The same with one commit of their model for all; it may ask the hub."""
    revision = pin_revision(chosen.configs[0], chosen.sources).revision
    return replace(chosen, configs=[one.model_copy(update={"revision": revision}) for one in chosen.configs])


def plan_of(session: Session, configs: Sequence[RunConfig], device: str) -> MemoryPlan:
    """Memory of columns on a kind of device.

    Raises:
        BadInput: `unknown_preset`.
    """
    starts = [start_of(session, int(one.checkpoint) if one.checkpoint else None) for one in configs]
    return plan_columns(configs, get_preset(configs[0].preset), device, starts)
