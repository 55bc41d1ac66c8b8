"""The questions of a run: rows of a data set by its name, ours or a plug-in's."""

from pathlib import Path

from memgen.contract.data_sets.functions import broken, function_of
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.data.questions import Question, check_split


def load_questions(
    data: str, split: str, *, seed: int = 42, limit: int | None = None, folder: Path | None = None
) -> list[Question]:
    """The first `limit` questions of a split of a data set; all of them where `limit` is None.

    Args:
        data: name of the data set.
        split: one of `SPLITS`.
        seed: parts train and validation; `test` does not depend on it.
        limit: at least 1 and at most the size of the split.
        folder: where the rows lie, if the user named a folder.

    Raises:
        BadInput: `unknown_data`, `unknown_split`, `bad_num_questions`, `data_set_broken`, and what the data set's
            loader raises.
    """
    chosen = data_set(data)
    check_split(split)
    place = chosen.place if folder is None else folder
    questions: list[Question] = function_of(chosen, chosen.loader)(split=split, seed=seed, folder=place)
    if len({question.id for question in questions}) != len(questions):
        raise broken(chosen, f"its {split} split has two questions of the same id")
    if limit is not None and not 1 <= limit <= len(questions):
        raise BadInput(
            "bad_num_questions",
            f"the {split} split of {data} has {len(questions):,} questions",
            field="num_questions",
            value=limit,
            way_out=f"Use a number from 1 to {len(questions)}, or leave it empty for all of them.",
        )
    return questions[:limit]
