"""What the records of all evaluations share."""

from memgen.contract.stage import Charts, Figure, Work
from memgen.contract.stage_configs import INSERTION, LENGTHS, Evaluation

FIRST_FIELDS = ("data", "split", "num_questions", "batch_size", "max_completion_length")
TRAINING_ROWS = (("train", None),)
EMPTY = {
    "num_questions": "all",
    "batch_size": "automatic",
    "revision": "newest",
    **dict.fromkeys((*LENGTHS, *INSERTION), "the checkpoint's"),
}
WORK: Work[Evaluation] = Work(
    reads=lambda config: ((config.split, config.num_questions), *(TRAINING_ROWS if config.uses_training_rows else ())),
    rows=lambda size: size,
    at_once=lambda _config, rows: rows,
    pace=("max_completion_length",),
    lacks=lambda config, left: config.lacks(left),
)
FIGURES = (
    Figure("accuracy", "Accuracy", "%", so_far=True),
    Figure("accuracy_strict", "Accuracy, box required", "%"),
    Figure("nll", "NLL of solutions", ".3f"),
    Figure("num_questions", "Questions", ",.0f", so_far=True),
    Figure("truncated", "Truncated", "%"),
    Figure("mean_completion_tokens", "Mean tokens", ",.1f"),
    Figure("mean_insertions", "Mean insertions", ".2f"),
    Figure("insert_rate", "Insert rate", "%"),
)
OF_QUESTIONS = frozenset(
    f"eval/{name}" for name in ("accuracy", "accuracy_strict", "compute_reward", "format_ok", "truncated")
)
SHARES = OF_QUESTIONS | {"eval/insert_rate"}
CHARTS = Charts(figures=FIGURES, first_metrics="answers", shares=SHARES, of_questions=OF_QUESTIONS)
