"""Would a config run, and why not: data, disk, memory, time, the model's revision."""

import logging
import shutil
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.services import checkpoints, fit, pipelines
from backend.services.claim import slots_of
from backend.services.disk import disk_bytes
from backend.services.row_check import check_rows
from backend.services.surroundings import Surroundings
from backend.settings import Settings
from backend.store.db import Database
from backend.store.models import Run, Worker
from memgen.contract.config import InvalidConfig, RunConfig, parse_config
from memgen.contract.errors import BadInput
from memgen.contract.names import is_revision
from memgen.contract.pipeline import PipelineSpec, StepName, plan_pipeline
from memgen.contract.presets import get_preset
from memgen.contract.rows import check_num_questions, num_rows, num_steps
from memgen.contract.stages import stage_of
from memgen.contract.status import RunStatus

log = logging.getLogger(__name__)


def rows_of(config: RunConfig, settings: Settings) -> int:
    """How many rows a run works on."""
    return num_rows(config, settings.data_folders.get(config.data))


def check(config: RunConfig, settings: Settings) -> None:
    """Refuse what can't run on this machine's data and disk.

    Raises:
        InvalidConfig: with every problem found.
    """
    problems: list[BadInput] = []
    needed = 0
    try:
        check_num_questions(config, settings.data_folders.get(config.data))
        needed = disk_bytes(config, rows_of(config, settings))
        if (row_check := check_rows(config, settings.data_folders.get(config.data))).problem is not None:
            problems.append(row_check.problem)
    except BadInput as error:
        problems.append(error)
    free = shutil.disk_usage(settings.home).free
    if needed > free:
        problems.append(_disk_full(needed, free, settings))
    if problems:
        raise InvalidConfig(problems)


def preflight(
    database: Database, data: Mapping[str, Any], settings: Settings, around: Surroundings
) -> s.PreflightReply:
    """Everything that can be said about a config before it is submitted."""
    try:
        config = parse_config(data)
        check(config, settings)  # may read rows: in no transaction
        with database.read() as session:
            checkpoints.check_parent(session, config, settings.home)
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
        return _describe(session, config, settings, slots, device, around.broker)


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
        steps = {
            name: _describe(session, config, settings, slots, device, around.broker) for name, config in configs.items()
        }
    return s.PipelinePreflight(ok=True, problems=[], steps=steps)


def check_all(configs: Mapping[StepName, RunConfig], settings: Settings) -> None:
    """`check` of every step; the disk must hold what all of them write.

    Raises:
        InvalidConfig: with every problem found, fields named by step.
    """
    problems: dict[tuple[str, str | None], BadInput] = {}
    needed = 0
    for name, config in configs.items():
        try:
            check(config, settings)
            needed += disk_bytes(config, rows_of(config, settings))
        except InvalidConfig as error:
            for problem in error.problems:
                field = problem.field
                if field in type(config).model_fields:
                    field = f"steps.{name}.{field}"
                problems[problem.code, field] = problem.at(field)
    free = shutil.disk_usage(settings.home).free
    if not problems and needed > free:
        problems["disk_full", None] = _disk_full(needed, free, settings)
    if problems:
        raise InvalidConfig(list(problems.values()))


def pin_all(configs: Mapping[StepName, RunConfig], reused: Sequence[Run]) -> dict[StepName, RunConfig]:
    """The configs with one revision of their model for all, as of `pin_revision`."""
    known = pin_revision(next(iter(configs.values())), reused).revision
    return {
        name: config if config.revision else config.model_copy(update={"revision": known})
        for name, config in configs.items()
    }


def _slots(session: Session, around: Surroundings) -> tuple[list[s.SlotReport], str]:
    """Slots that are alive, and the kind of device that a run would get."""
    workers = [worker for worker in session.exec(select(Worker)) if around.is_alive(worker)]
    slots = [slot for worker in workers for slot in slots_of(worker)]
    return slots, "cuda" if any(slot.device == "cuda" for slot in slots) else "cpu"


def _describe(
    session: Session, config: RunConfig, settings: Settings, slots: list[s.SlotReport], device: str, broker: str
) -> s.PreflightReply:
    placement, fits = fit.slots_text(config, slots)
    count = rows_of(config, settings)
    rows = check_rows(config, settings.data_folders.get(config.data))
    return s.PreflightReply(
        ok=True,
        problems=[],
        warnings=[*_warnings(config, slots, broker, fits=fits), *rows.warnings],
        num_questions=count,
        memory_bytes=fit.plan_on(config, device).total,
        memory_device=device,
        fits=fits,
        placement=placement,
        disk_bytes=disk_bytes(config, count),
        expected_seconds=_expected_seconds(session, config, count),
    )


def pin_revision(config: RunConfig, kin: Sequence[Run]) -> RunConfig:
    """The config with the commit of its model.

    Args:
        config: of a run to come.
        kin: runs whose checkpoint or answers it is to go with: theirs is its commit, and where their weights came from
            no hub it has none, either, as any commit would be other weights. Without such runs the hub's newest is
            taken, where the hub can be asked within seconds.
    """
    if config.revision is not None:
        return config
    preset = get_preset(config.preset)
    if preset.repo is None:  # a folder has none, whatever older runs of it say
        return config
    if kin:
        known = next((revision for run in kin if (revision := _revision_of(run))), None)
        return config.model_copy(update={"revision": known})
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(preset.repo, timeout=3).sha
    except Exception as error:  # every transport has its own errors, and none of them may refuse a run
        log.info("revision of %s not pinned: %s", preset.repo, type(error).__name__)
        return config
    return config.model_copy(update={"revision": commit if is_revision(commit) else None})


def _revision_of(run: Run) -> str | None:
    """The commit that a run's config names, or from which its weights came."""
    named = run.config.get("revision")
    source, _, commit = str(run.environment.get("model", "")).partition("@")
    revision = named or (commit if source.startswith("hub:") else None)
    return revision if is_revision(revision) else None


def _disk_full(needed: int, free: int, settings: Settings) -> BadInput:
    return BadInput(
        "disk_full",
        f"the run may write {needed / 1e9:.2f} GB and the disk of MEMGEN_HOME has {free / 1e9:.2f} GB free",
        field="MEMGEN_HOME",
        value=settings.home,
        way_out="Free some space, delete old runs, or move MEMGEN_HOME to a larger disk.",
    )


def _warnings(config: RunConfig, slots: list[s.SlotReport], broker: str, *, fits: bool) -> list[str]:
    warnings = []
    if not slots:
        warnings.append("No worker is alive: the run will wait. `make up` starts one.")
    elif not fits:
        warnings.append(f"The run will wait: {fit.too_large(config, slots)} {fit.LOWER}")
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
        if all(run.config.get(name) == getattr(config, name) for name in stage.work.pace)
        and run.summary.get(unit)
        and run.summary.get("seconds")
    ]
    return statistics.median(rates) * amount if rates else None
