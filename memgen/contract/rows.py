"""The rows of a run: how many questions it works on, in how many steps, and how many of them at a time."""

from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.data_sets.folders import check_folder, unusable_folder
from memgen.contract.data_sets.functions import split_sizes
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.stages import stage_of


def check_num_questions(config: RunConfig, folder: Path | None = None) -> None:
    """Refuse a run on more questions than there are, on a split or a folder that does not hold any, or that draws from
    rows of which it evaluates all.

    Args:
        config: of the run.
        folder: where the rows of its data set lie, if the user named a folder.

    Raises:
        BadInput: `too_many_questions`, `no_such_split`; `data_folder_incomplete` where a folder has none at all;
            `no_reference_questions`, `too_few_examples`.
    """
    chosen, split = data_set(config.data), split_of(config)
    if folder is not None:
        check_folder(chosen, folder)
    sizes = split_sizes(chosen, folder)
    for needed, _ in stage_of(config).work.reads(config):
        if needed not in sizes:
            raise BadInput(
                "no_such_split",
                f"{config.data} has no {needed} split",
                field="data",
                value=config.data,
                way_out=f"It has: {', '.join(sizes)}. Choose another data set or, for an evaluation, another split.",
            )
    size = sizes[split]
    if folder is not None and chosen.folder is not None and size == 0:
        raise unusable_folder(chosen.folder, folder, f"its {split} split has no questions")
    if config.num_questions is not None and config.num_questions > size:
        place = config.data if folder is None else f"{config.data} in {folder}"
        raise BadInput(
            "too_many_questions",
            f"the {split} split of {place} has {size:,} question{'' if size == 1 else 's'}",
            field="num_questions",
            value=config.num_questions,
            way_out=f"Ask for at most {size}, or leave it empty for all.",
        )
    asked = (size if config.num_questions is None else config.num_questions) if split == "train" else 0
    problem = stage_of(config).work.lacks(config, sizes.get("train", 0) - asked)
    if problem is not None:
        raise problem


def split_of(config: RunConfig) -> str:
    """The split whose questions a run works on and its `num_questions` counts."""
    split, _ = stage_of(config).work.reads(config)[0]
    return split


def num_rows(config: RunConfig, folder: Path | None = None) -> int:
    """How many questions a run works on, if there are so many: `check_num_questions` says so.

    Args:
        config: of the run.
        folder: as of `check_num_questions`.
    """
    if config.num_questions is not None:
        return config.num_questions
    return stage_of(config).work.rows(split_sizes(data_set(config.data), folder)[split_of(config)])


def num_steps(config: RunConfig, rows: int) -> int:
    """Steps of a training on so many questions."""
    steps = stage_of(config).work.steps
    assert steps is not None, f"{config.stage} has no steps"
    return steps(config, rows)


def rows_to_share(config: RunConfig) -> int:
    """How many rows a run works on at a time, which several processes can share: those of a step, or all questions."""
    work = stage_of(config).work
    return work.at_once(config, num_rows(config)) if work.is_shared else 1
