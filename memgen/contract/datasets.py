"""Sizes of the data sets. The rows themselves are the core's business."""

from pathlib import Path

from memgen.contract.gsm8k_folder import GSM8K_FILES, count_rows

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
