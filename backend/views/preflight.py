"""Would a config run, and why not: what a person sees before a launch."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.executors.executor import Site
from backend.services import checkpoints, fit, pipelines
from backend.services.checkpoints import start_of
from backend.services.disk import disk_bytes
from backend.services.machines import busy_slots, slots_of
from backend.services.openings import Closed, closed_slots
from backend.services.peaks import experience
from backend.services.preflight import check, check_all, rows_of
from backend.services.row_check import check_rows
from backend.services.surroundings import Surroundings
from backend.settings import Settings
from backend.store.db import Database
from backend.store.models import Run, Worker
from backend.views.sites import slots_of_site
from backend.views.start import slot_fits, start_at_site, start_text
from memgen.contract.config import InvalidConfig, RunConfig, parse_config, stored_config
from memgen.contract.pipeline import PipelineSpec, StepName, plan_pipeline
from memgen.contract.planner.parts import Parts, parts_of
from memgen.contract.rows import num_steps
from memgen.contract.stages import stage_of
from memgen.contract.status import RunStatus

Alive = Sequence[tuple[str, s.SlotReport]]
"""Slots that are alive, with the names of their machines."""


def preflight(
    database: Database, data: Mapping[str, Any], settings: Settings, around: Surroundings, site: Site | None = None
) -> s.PreflightReply:
    """Everything that can be said about a config before it is submitted, to a site if one is given."""
    try:
        config = parse_config(data)
        check(config, settings)  # may read rows: in no transaction
        with database.read() as session:
            origin = checkpoints.check_parent(session, config, settings.home)
    except InvalidConfig as error:
        with database.read() as session:
            device = _device(_alive(session, around, site))
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
        start = start_of(session, origin[0].id if origin else None)
        return _describe(session, config, start, settings, around, site)


def pipeline_preflight(
    database: Database, spec: PipelineSpec, settings: Settings, around: Surroundings, site: Site | None = None
) -> s.PipelinePreflight:
    """Everything that can be said about a pipeline before it is submitted, to a site if one is given."""
    try:
        configs = plan_pipeline(spec)
        check_all(configs, settings)  # may read rows: in no transaction
        with database.read() as session:
            reused = pipelines.check_reuse(session, spec, settings.home)
    except InvalidConfig as error:
        return s.PipelinePreflight(
            ok=False, problems=[item.problem.in_sentences() for item in error.problems], steps={}
        )
    with database.read() as session:
        starts = _starts(session, spec, configs)
        steps = {
            name: _describe(session, config, starts[name], settings, around, site) for name, config in configs.items()
        }
    outside = sorted({one.id for one in reused.values() if not isinstance(one, Run)})
    return s.PipelinePreflight(ok=True, problems=[], steps=steps, outside=outside)


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


def _alive(session: Session, around: Surroundings, site: Site | None) -> Alive:
    """Slots that are alive, each with its machine; of a site its sizes."""
    if site is not None:
        return slots_of_site(site)
    return [(worker.host, slot) for worker in _workers(session, around) for slot in slots_of(worker)]


def _workers(session: Session, around: Surroundings) -> list[Worker]:
    """Those that are alive."""
    return [worker for worker in session.exec(select(Worker)) if around.is_alive(worker)]


def _device(alive: Alive) -> str:
    """The kind of device that a run would get."""
    return "cuda" if any(slot.device == "cuda" for _, slot in alive) else "cpu"


def _describe(
    session: Session,
    config: RunConfig,
    start: Parts | None,
    settings: Settings,
    around: Surroundings,
    site: Site | None,
) -> s.PreflightReply:
    alive = _alive(session, around, site)
    slots, device = [slot for _, slot in alive], _device(alive)
    placement, fits = fit.slots_text(config, slots, start, site)
    count = rows_of(config, settings)
    rows = check_rows(config, settings.data_folders.get(config.data))
    plan = fit.plan_on(config, device, start)
    past = [(slot, one) for host, slot in alive if (one := experience(session, config, host, slot)) is not None]
    words = [placement, fit.widths_text(config, slots, count, start), *dict.fromkeys(one.words for _, one in past)]
    closed = closed_slots(session, _workers(session, around)) if site is None else {}
    warnings = _warnings(config, start, slots, around, site, closed, fits=fits)
    warnings += [one.warning(slot) for slot, one in past if plan.total <= slot.total_memory < one.corrected(plan)]
    return s.PreflightReply(
        ok=True,
        problems=[],
        warnings=[*warnings, *rows.warnings],
        num_questions=count,
        memory_bytes=max((one.corrected(plan) for _, one in past), default=plan.total),
        memory_device=device,
        fits=fits,
        placement=" ".join(filter(None, words)),
        disk_bytes=disk_bytes(config, count, start),
        expected_seconds=_expected_seconds(session, config, count),
        slots=(fits_by_slot := slot_fits(config, start, alive, busy_slots(session) if site is None else {}, closed)),
        starts=start_text(session, fits_by_slot) if site is None else start_at_site(session, site, fits_by_slot),
    )


def _warnings(
    config: RunConfig,
    start: Parts | None,
    slots: list[s.SlotReport],
    around: Surroundings,
    site: Site | None,
    closed: Closed,
    *,
    fits: bool,
) -> list[str]:
    """What would make the run wait or fail."""
    warnings = []
    if slots and not fits:
        words = fit.too_large(config, slots, start, site)
        warnings.append(f"The run will wait: {words} {fit.what_to_lower(config)}")
    if site is not None:
        return warnings + [words for name, words in around.site_troubles.items() if name == site.name]
    if not slots:
        warnings.append("No worker is alive: the run will wait. `make up` starts one.")
    warnings += [f"Slot {slot.name} takes no work now: {slot.sick.reason}" for slot in slots if slot.sick]
    warnings += dict.fromkeys(str(one.in_sentences()) for one in closed.values())
    if around.broker != "ok":
        warnings.append(f"Redis can't be reached ({around.broker}): the run is stored and starts when it is back.")
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
