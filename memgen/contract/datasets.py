"""Sizes of the data sets. The rows themselves are the core's business."""

from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.gsm8k_folder import GSM8K_FILES, count_rows, unusable_gsm8k_folder
from memgen.contract.stage_configs import Evaluation, TriggerGrpoConfig, WeaverSftConfig

# rows per split; validation is a tenth of the training file, taken out by seed
SPLIT_SIZES: dict[str, dict[str, int]] = {
    "gsm8k": {"train": 6725, "validation": 748, "test": 1319},
    "wordproblems": {"train": 3600, "validation": 400, "test": 1000},
    "wordproblems_easy": {"train": 3600, "validation": 400, "test": 1000},
}
# longest prompt and longest solution in tokens, a little above what SmolLM2's tokenizer makes of them
LONGEST = {"gsm8k": (300, 512), "wordproblems": (100, 96), "wordproblems_easy": (90, 48)}
# tokens per row of the fullest batch of two training rows or more, rows being packed: of 6,700 random batches of four
# rows of GSM8K none had more than 400 per row, of larger batches less; of two rows one in some thousands has more
FULLEST = {"gsm8k": (170, 300), "wordproblems": (80, 72), "wordproblems_easy": (70, 40)}
VALIDATION_ONE_IN = 10  # training rows, rounded up


def split_sizes(data: str, gsm8k: Path | None = None) -> dict[str, int]:
    """Questions of each split.

    Args:
        data: name of the data set.
        gsm8k: folder that GSM8K is read from, whose rows are counted; None where it comes from the hub.
    """
    if data != "gsm8k" or gsm8k is None:
        return SPLIT_SIZES[data]
    train, test = (count_rows(gsm8k / name) for name in GSM8K_FILES)
    validation = -(-train // VALIDATION_ONE_IN)
    return {"train": train - validation, "validation": validation, "test": test}


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
