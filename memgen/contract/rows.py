"""The rows of a run: how many questions it works on, in how many steps, and how many of them at a time."""

from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.datasets import split_sizes
from memgen.contract.errors import BadInput
from memgen.contract.gsm8k_folder import unusable_gsm8k_folder
from memgen.contract.stage_configs import Evaluation, TriggerGrpoConfig, WeaverSftConfig


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
    """The split that a run works on; trainings use the training rows without the validation split."""
    return config.split if isinstance(config, Evaluation) else "train"


def num_rows(config: RunConfig, gsm8k: Path | None = None) -> int:
    """How many questions a run works on, if there are so many: `check_num_questions` says so.

    Args:
        config: of the run.
        gsm8k: as of `split_sizes`.
    """
    if config.num_questions is not None:
        return config.num_questions
    size = split_sizes(config.data, gsm8k)[split_of(config)]
    return max(1, size // 3) if isinstance(config, TriggerGrpoConfig) else size


def num_steps(config: WeaverSftConfig | TriggerGrpoConfig, rows: int) -> int:
    """Steps of a training on so many questions."""
    if isinstance(config, WeaverSftConfig):
        steps = -(-rows // (config.batch_size * config.gradient_accumulation_steps)) * config.num_train_epochs
    else:
        rollouts = -(-rows // (config.batch_size // config.num_generations)) * config.num_train_epochs
        steps = rollouts * config.num_iterations
    return steps if config.max_steps is None else min(steps, config.max_steps)


def rows_to_share(config: RunConfig) -> int:
    """How many rows a run works on at a time, which several processes can share: those of a step, or all questions."""
    if isinstance(config, WeaverSftConfig):
        return config.batch_size * config.gradient_accumulation_steps
    return config.batch_size if isinstance(config, TriggerGrpoConfig) else num_rows(config)
