"""Would a config run, and why not: what a person sees before a launch."""

import statistics
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.services import checkpoints, fit, pipelines
from backend.services.checkpoints import start_of
from backend.services.claim import slots_of
from backend.services.disk import disk_bytes
from backend.services.preflight import check, check_all, rows_of
from backend.services.row_check import check_rows
from backend.services.surroundings import Surroundings
from backend.settings import Settings
from backend.store.db import Database
from backend.store.models import Run, Worker
from memgen.contract.config import InvalidConfig, RunConfig, parse_config, stored_config
from memgen.contract.pipeline import PipelineSpec, StepName, plan_pipeline
from memgen.contract.planner.parts import Parts, parts_of
from memgen.contract.rows import num_steps
from memgen.contract.stages import stage_of
from memgen.contract.status import RunStatus


def preflight(
    database: Database, data: Mapping[str, Any], settings: Settings, around: Surroundings
) -> s.PreflightReply:
    """Everything that can be said about a config before it is submitted."""
    try:
        config = parse_config(data)
        check(config, settings)  # may read rows: in no transaction
        with database.read() as session:
            origin = checkpoints.check_parent(session, config, settings.home)
    except InvalidConfig as error:
        with database.read() as session:
            _, device = _slots(session, around)
        problems = [item.problem.in_sentences() for item in error.problems]
        return s.PreflightReply(
            ok=False,
            problems=problems,
            warnings=[],
            num_questions=None,
            memory_bytes=None,
            memory_device=device,
            fits=None,
            placement="",
            disk_bytes=None,
            expected_seconds=None,
        )
    with database.read() as session:
        slots, device = _slots(session, around)
        start = start_of(session, origin[0].id if origin else None)
        return _describe(session, config, start, settings, slots, device, around.broker)


def pipeline_preflight(
    database: Database, spec: PipelineSpec, settings: Settings, around: Surroundings
) -> s.PipelinePreflight:
    """Everything that can be said about a pipeline before it is submitted."""
    try:
        configs = plan_pipeline(spec)
        check_all(configs, settings)  # may read rows: in no transaction
        with database.read() as session:
            pipelines.check_reuse(session, spec, settings.home)
    except InvalidConfig as error:
        return s.PipelinePreflight(
            ok=False, problems=[item.problem.in_sentences() for item in error.problems], steps={}
        )
    with database.read() as session:
        slots, device = _slots(session, around)
        starts = _starts(session, spec, configs)
        steps = {
            name: _describe(session, config, starts[name], settings, slots, device, around.broker)
            for name, config in configs.items()
        }
    return s.PipelinePreflight(ok=True, problems=[], steps=steps)


def _starts(
    session: Session, spec: PipelineSpec, configs: Mapping[StepName, RunConfig]
) -> dict[StepName, Parts | None]:
    """What the checkpoint has that each step starts from, be it there or still to be trained."""
    starts: dict[StepName, Parts | None] = {}
    for name in configs:  # parents first
        parent = spec.parent_of(name)
        if parent is not None and parent in configs:
            starts[name] = parts_of(configs[parent], starts[parent])
        else:
            starts[name] = start_of(session, spec.reuse[parent] if parent is not None else None)
    return starts


def _slots(session: Session, around: Surroundings) -> tuple[list[s.SlotReport], str]:
    """Slots that are alive, and the kind of device that a run would get."""
    workers = [worker for worker in session.exec(select(Worker)) if around.is_alive(worker)]
    slots = [slot for worker in workers for slot in slots_of(worker)]
    return slots, "cuda" if any(slot.device == "cuda" for slot in slots) else "cpu"


def _describe(
    session: Session,
    config: RunConfig,
    start: Parts | None,
    settings: Settings,
    slots: list[s.SlotReport],
    device: str,
    broker: str,
) -> s.PreflightReply:
    placement, fits = fit.slots_text(config, slots, start)
    count = rows_of(config, settings)
    rows = check_rows(config, settings.data_folders.get(config.data))
    return s.PreflightReply(
        ok=True,
        problems=[],
        warnings=[*_warnings(config, start, slots, broker, fits=fits), *rows.warnings],
        num_questions=count,
        memory_bytes=fit.plan_on(config, device, start).total,
        memory_device=device,
        fits=fits,
        placement=placement,
        disk_bytes=disk_bytes(config, count, start),
        expected_seconds=_expected_seconds(session, config, count),
    )


def _warnings(
    config: RunConfig, start: Parts | None, slots: list[s.SlotReport], broker: str, *, fits: bool
) -> list[str]:
    warnings = []
    if not slots:
        warnings.append("No worker is alive: the run will wait. `make up` starts one.")
    elif not fits:
        warnings.append(f"The run will wait: {fit.too_large(config, slots, start)} {fit.LOWER}")
    warnings += [f"Slot {slot.name} takes no work now: {slot.sick.reason}" for slot in slots if slot.sick]
    if broker != "ok":
        warnings.append(f"Redis can't be reached ({broker}): the run is stored and starts when it is back.")
    return warnings


def _expected_seconds(session: Session, config: RunConfig, count: int) -> float | None:
    """From the median seconds per question, or per step, of past runs that did the same."""
    query = (
        select(Run)
        .where(col(Run.preset) == config.preset, col(Run.stage) == config.stage, col(Run.setting) == config.measured)
        .where(col(Run.status) == RunStatus.SUCCEEDED)
        .order_by(col(Run.id).desc())
        .limit(20)
    )
    stage = stage_of(config)
    unit, amount = ("steps", num_steps(config, count)) if stage.trains else ("num_questions", count)
    rates = [
        run.summary["seconds"] / run.summary[unit]
        for run in session.exec(query)
        if _pace(stored_config(run.config)) == _pace(config) and run.summary.get(unit) and run.summary.get("seconds")
    ]
    return statistics.median(rates) * amount if rates else None


def _pace(config: RunConfig) -> dict[str, object]:
    return {name: getattr(config, name, None) for name in stage_of(config).work.pace}
