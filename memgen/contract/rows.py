"""The rows of a run: how many questions it works on, in how many steps, and how many of them at a time."""

from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.datasets import split_sizes
from memgen.contract.errors import BadInput
from memgen.contract.gsm8k_folder import unusable_gsm8k_folder
from memgen.contract.stages import stage_of


def check_num_questions(config: RunConfig, gsm8k: Path | None = None) -> None:
    """Refuse a run on more questions than there are.

    Args:
        config: of the run.
        gsm8k: as of `split_sizes`.

    Raises:
        BadInput: `too_many_questions`; `data_folder_incomplete` where there are none at all.
    """
    split = split_of(config)
    size = split_sizes(config.data, gsm8k)[split]
    place = f"{config.data} in {gsm8k}" if gsm8k is not None and config.data == "gsm8k" else config.data
    if gsm8k is not None and size == 0:
        raise unusable_gsm8k_folder(gsm8k, f"its {split} split has no questions")
    if config.num_questions is not None and config.num_questions > size:
        raise BadInput(
            "too_many_questions",
            f"the {split} split of {place} has {size:,} question{'' if size == 1 else 's'}",
            field="num_questions",
            value=config.num_questions,
            way_out=f"Ask for at most {size}, or leave it empty for all.",
        )


def split_of(config: RunConfig) -> str:
    """The split whose questions a run works on and its `num_questions` counts."""
    split, _ = stage_of(config).work.reads(config)[0]
    return split


def num_rows(config: RunConfig, gsm8k: Path | None = None) -> int:
    """How many questions a run works on, if there are so many: `check_num_questions` says so.

    Args:
        config: of the run.
        gsm8k: as of `split_sizes`.
    """
    if config.num_questions is not None:
        return config.num_questions
    return stage_of(config).work.rows(split_sizes(config.data, gsm8k)[split_of(config)])


def num_steps(config: RunConfig, rows: int) -> int:
    """Steps of a training on so many questions."""
    steps = stage_of(config).work.steps
    assert steps is not None, f"{config.stage} has no steps"
    return steps(config, rows)


def rows_to_share(config: RunConfig) -> int:
    """How many rows a run works on at a time, which several processes can share: those of a step, or all questions."""
    return stage_of(config).work.at_once(config, num_rows(config))
