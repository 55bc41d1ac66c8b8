"""Sizes of the data sets, and what a folder with GSM8K must hold. The rows themselves are the core's business."""

from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.errors import BadInput
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
GSM8K_FILES = ("train.jsonl", "test.jsonl")


def split_size(data: str, split: str, num_questions: int | None) -> int:
    """How many questions a config asks for.

    Raises:
        BadInput: `too_many_questions`.
    """
    size = SPLIT_SIZES[data][split]
    if num_questions is not None and num_questions > size:
        raise BadInput(
            "too_many_questions",
            f"the {split} split of {data} has {size:,} questions",
            field="num_questions",
            value=num_questions,
            way_out=f"Ask for at most {size}, or leave it empty for all.",
        )
    return size if num_questions is None else num_questions


def split_of(config: RunConfig) -> str:
    """The split that a run works on; trainings use the training rows without the validation split."""
    return config.split if isinstance(config, Evaluation) else "train"


def num_rows(config: RunConfig) -> int:
    """How many questions a run works on.

    Raises:
        BadInput: `too_many_questions`.
    """
    if isinstance(config, TriggerGrpoConfig) and config.num_questions is None:
        return SPLIT_SIZES[config.data]["train"] // 3
    return split_size(config.data, split_of(config), config.num_questions)


def num_steps(config: WeaverSftConfig | TriggerGrpoConfig, rows: int) -> int:
    """Steps of a training on so many questions."""
    if isinstance(config, WeaverSftConfig):
        steps = -(-rows // (config.batch_size * config.gradient_accumulation_steps)) * config.num_train_epochs
    else:
        rollouts = -(-rows // (config.batch_size // config.num_generations)) * config.num_train_epochs
        steps = rollouts * config.num_iterations
    return steps if config.max_steps is None else min(steps, config.max_steps)


def rows_to_share(config: RunConfig) -> int:
    """How many rows a run works on at a time, which several processes can share: those of a step, or all questions.

    Raises:
        BadInput: `too_many_questions`.
    """
    if isinstance(config, WeaverSftConfig):
        return config.batch_size * config.gradient_accumulation_steps
    return config.batch_size if isinstance(config, TriggerGrpoConfig) else num_rows(config)


def check_gsm8k_folder(folder: Path) -> None:
    """Refuse a folder that lacks a file of GSM8K, without reading the files.

    Raises:
        BadInput: `data_folder_incomplete`.
    """
    if not folder.is_dir():
        raise unusable_gsm8k_folder(folder, "there is no such folder")
    missing = [name for name in GSM8K_FILES if not (folder / name).is_file()]
    if missing:
        raise unusable_gsm8k_folder(folder, f"the folder lacks {' and '.join(missing)}")


def unusable_gsm8k_folder(folder: Path, message: str) -> BadInput:
    """The error for a GSM8K folder that can't be read."""
    return BadInput(
        "data_folder_incomplete",
        message,
        field="MEMGEN_GSM8K_DIR",
        value=folder,
        way_out=f"Put {' and '.join(GSM8K_FILES)} of openai/grade-school-math there, unset MEMGEN_GSM8K_DIR to load "
        "GSM8K from the hub, or choose the data set wordproblems.",
    )
