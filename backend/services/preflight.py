"""Would a config run, and why not: data, disk, memory, time, the model's revision."""

import logging
import shutil
import statistics
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from backend import schemas as s
from backend.errors import item_of
from backend.models import Run, Worker
from backend.services.claim import ALIVE_SECONDS
from backend.settings import Settings
from memgen.contract import memory
from memgen.contract.config import InvalidConfig, RunConfig, parse_config
from memgen.contract.datasets import check_gsm8k_folder, num_rows
from memgen.contract.errors import BadInput
from memgen.contract.presets import get_preset
from memgen.contract.stage_configs import Evaluation
from memgen.contract.status import RunStatus

log = logging.getLogger(__name__)


def check(config: RunConfig, settings: Settings) -> None:
    """Refuse what can't run on this machine's data and disk.

    Raises:
        InvalidConfig: with every problem found.
    """
    problems: list[BadInput] = []
    count = 0
    try:
        count = num_rows(config)
    except BadInput as error:
        problems.append(error)
    if config.data == "gsm8k" and settings.gsm8k_dir is not None:
        try:
            check_gsm8k_folder(settings.gsm8k_dir)
        except BadInput as error:
            problems.append(error)
    free = shutil.disk_usage(settings.home).free
    needed = _disk_bytes(config, count)
    if needed > free:
        problems.append(
            BadInput(
                "disk_full",
                f"the run may write {needed / 1e9:.2f} GB and the disk of MEMGEN_HOME has {free / 1e9:.2f} GB free",
                field="MEMGEN_HOME",
                value=settings.home,
                way_out="Free some space, delete old runs, or move MEMGEN_HOME to a larger disk.",
            )
        )
    if problems:
        raise InvalidConfig(problems)


def preflight(
    session: Session, data: Mapping[str, Any], settings: Settings, *, at: float, broker: str
) -> s.PreflightReply:
    """Everything that can be said about a config before it is submitted."""
    workers = [worker for worker in session.exec(select(Worker)) if at - worker.last_seen < ALIVE_SECONDS]
    slots = [slot for worker in workers for slot in worker.slots]
    device = "cuda" if any(slot["device"] == "cuda" for slot in slots) else "cpu"
    try:
        config = parse_config(data)
        check(config, settings)
    except InvalidConfig as error:
        problems = [item_of(problem) for problem in error.problems]
        return s.PreflightReply(
            ok=False,
            problems=problems,
            warnings=[],
            num_questions=None,
            memory_bytes=None,
            memory_device=device,
            disk_bytes=None,
            expected_seconds=None,
        )
    count = num_rows(config)
    need = memory.plan(config, get_preset(config.preset), device).total
    return s.PreflightReply(
        ok=True,
        problems=[],
        warnings=_warnings(slots, need, broker),
        num_questions=count,
        memory_bytes=need,
        memory_device=device,
        disk_bytes=_disk_bytes(config, count),
        expected_seconds=_expected_seconds(session, config, count),
    )


def pin_revision(config: RunConfig) -> RunConfig:
    """The config with the hub's newest commit of its model, where the hub can be asked within seconds."""
    preset = get_preset(config.preset)
    if config.revision is not None or preset.repo is None:
        return config
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(preset.repo, timeout=3).sha
    except Exception as error:  # every transport has its own errors, and none of them may refuse a run
        log.info("revision of %s not pinned: %s", preset.repo, type(error).__name__)
        return config
    return config.model_copy(update={"revision": commit})


def _disk_bytes(config: RunConfig, count: int) -> int:
    return memory.output_bytes(config, get_preset(config.preset), count)


def _warnings(slots: list[dict[str, Any]], need: int, broker: str) -> list[str]:
    warnings = []
    if not slots:
        warnings.append("No worker is alive: the run will wait. `make up` starts one.")
    elif need > max(slot["total_memory"] for slot in slots):
        largest = max(slot["total_memory"] for slot in slots)
        warnings.append(
            f"The run needs {need / 2**30:.1f} GiB and the largest slot has {largest / 2**30:.1f} GiB: it will wait. "
            "Lower batch_size or the lengths."
        )
    if broker != "ok":
        warnings.append(f"Redis can't be reached ({broker}): the run is stored and starts when it is back.")
    return warnings


def _expected_seconds(session: Session, config: RunConfig, count: int) -> float | None:
    if not isinstance(config, Evaluation):
        return None
    query = (
        select(Run)
        .where(col(Run.preset) == config.preset, col(Run.stage) == config.stage, col(Run.setting) == config.setting)
        .where(col(Run.status) == RunStatus.SUCCEEDED)
        .order_by(col(Run.id).desc())
        .limit(20)
    )
    rates = [
        run.summary["seconds"] / run.summary["num_questions"]
        for run in session.exec(query)
        if run.config["max_completion_length"] == config.max_completion_length and run.summary.get("num_questions")
    ]
    return statistics.median(rates) * count if rates else None
