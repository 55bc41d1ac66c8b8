"""The rows that weaver and plain LoRA are trained on, and which held-out questions are near to them."""

import itertools

from memgen.contract.rows import num_rows
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from memgen.data import load_questions
from memgen.data.gsm8k_row import from_gsm8k_row
from memgen.data.questions import Question
from memgen.data.wordproblems import LEVELS, generate
from memgen.stages.training import batch_of, drawn


def trained_on(config: WeaverSftConfig) -> list[Question]:
    """What the weaver's steps read, in their order, one batch after the other."""
    questions = drawn(load_questions(config.data, "train", seed=config.seed), num_rows(config), config.seed)
    return [
        questions[index]
        for number in range(config.max_steps or 0)
        for index in batch_of(len(questions), config.batch_size, number, config.seed)
    ]


def near(config: WeaverSftConfig) -> set[str]:
    """Ids of the questions of all splits that share template and calculation with a row trained on.

    One that is held out differs from such a row in names and things alone.
    """
    level = LEVELS[config.data]
    forms = {}
    for row in itertools.chain(*generate(steps=level.steps, max_number=level.max_number, known=level.known)):
        question = from_gsm8k_row({"question": row.question, "answer": row.answer}, config.data)
        forms[question.id] = (row.template, row.answer.partition("<<")[2].partition(">>")[0])
    seen = {forms[question.id] for question in trained_on(config)}
    return {question for question, form in forms.items() if form in seen}
