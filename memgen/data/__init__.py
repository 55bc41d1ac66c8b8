"""Questions: GSM8K from the hub or a folder, and word problems of our own."""

from pathlib import Path

from memgen.contract.errors import BadInput
from memgen.data.gsm8k import load_gsm8k
from memgen.data.questions import SPLITS, Question
from memgen.data.wordproblems import LEVELS, load_wordproblems

DATA = ("gsm8k", *LEVELS)

__all__ = ["DATA", "SPLITS", "Question", "load_questions"]


def load_questions(
    data: str,
    split: str,
    *,
    seed: int = 42,
    limit: int | None = None,
    gsm8k_folder: Path | None = None,
) -> list[Question]:
    """The first `limit` questions of a split of a data set; all of them where `limit` is None.

    Args:
        data: one of `DATA`.
        split: one of `SPLITS`.
        seed: parts train and validation; `test` does not depend on it.
        limit: at least 1 and at most the size of the split.
        gsm8k_folder: holds GSM8K's train.jsonl and test.jsonl; None reads them from the hub.

    Raises:
        BadInput: `unknown_data`, `unknown_split`, `bad_num_questions`, and what the data set's loader raises.
    """
    if data == "gsm8k":
        questions = load_gsm8k(split, seed, gsm8k_folder)
    elif data in LEVELS:
        questions = load_wordproblems(split, seed, data)
    else:
        raise BadInput(
            "unknown_data",
            "there is no such data set",
            field="data",
            value=data,
            way_out=f"Use one of {', '.join(DATA)}.",
        )
    if limit is not None and not 1 <= limit <= len(questions):
        raise BadInput(
            "bad_num_questions",
            f"the {split} split of {data} has {len(questions):,} questions",
            field="num_questions",
            value=limit,
            way_out=f"Use a number from 1 to {len(questions)}, or leave it empty for all of them.",
        )
    return questions[:limit]
