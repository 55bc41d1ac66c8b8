"""What keeps a config from running on this machine's data and disk, and the revision of its model."""

import logging
import shutil
from collections.abc import Mapping, Sequence

from backend.services.checkpoints import Source
from backend.services.disk import disk_bytes
from backend.services.row_check import check_rows
from backend.settings import Settings
from backend.store.models import Run
from memgen.contract.config import InvalidConfig, RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.names import is_revision
from memgen.contract.pipeline import StepName
from memgen.contract.presets import get_preset
from memgen.contract.rows import check_num_questions, num_rows

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


def _disk_full(needed: int, free: int, settings: Settings) -> BadInput:
    return BadInput(
        "disk_full",
        f"the run may write {needed / 1e9:.2f} GB and the disk of MEMGEN_HOME has {free / 1e9:.2f} GB free",
        field="MEMGEN_HOME",
        value=settings.home,
        way_out="Free some space, delete old runs, or move MEMGEN_HOME to a larger disk.",
    )


def pin_all(configs: Mapping[StepName, RunConfig], reused: Sequence[Source]) -> dict[StepName, RunConfig]:
    """The configs with one revision of their model for all, as of `pin_revision`."""
    known = pin_revision(next(iter(configs.values())), reused).revision
    return {
        name: config if config.revision else config.model_copy(update={"revision": known})
        for name, config in configs.items()
    }


def pin_revision(config: RunConfig, kin: Sequence[Source]) -> RunConfig:
    """The config with the commit of its model.

    Args:
        config: of a run to come.
        kin: runs and checkpoints whose weights or answers it is to go with: theirs is its commit, and where their
            weights came from no hub it has none, either, as any commit would be other weights. Without such runs the
            hub's newest is taken, where the hub can be asked within seconds.
    """
    if config.revision is not None:
        return config
    preset = get_preset(config.preset)
    if preset.repo is None:  # a folder or a package has none, whatever older runs of it say
        return config
    if kin:
        known = next((revision for one in kin if (revision := _revision_of(one))), None)
        return config.model_copy(update={"revision": known})
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(preset.repo, timeout=3).sha
    except Exception as error:  # every transport has its own errors, and none of them may refuse a run
        log.info("revision of %s not pinned: %s", preset.repo, type(error).__name__)
        return config
    return config.model_copy(update={"revision": commit if is_revision(commit) else None})


def _revision_of(source: Source) -> str | None:
    """The commit that a run's config names, or from which its weights came."""
    if not isinstance(source, Run):
        return source.revision
    weights, _, commit = str(source.environment.get("model", "")).partition("@")
    revision = source.config.get("revision") or (commit if weights.startswith("hub:") else None)
    return revision if is_revision(revision) else None
