"""What runs stage `guess`: the second of its two modules."""

from guess_stage import GuessConfig

from memgen.contract.data_sets.registry import data_set
from memgen.data.prompt import Prompt
from memgen.data.questions import Question
from memgen.environment import CONDITIONS
from memgen.stages.answer_book import AnswerBook
from memgen.stages.context import Context
from memgen.stages.loading import load


def guess(config: GuessConfig, context: Context, questions: list[Question]) -> dict[str, float]:
    """Run the stage; returns the summary's metrics."""
    load(config, context, CONDITIONS)
    book = AnswerBook(context.run_dir.answers, Prompt(data_set(config.data)), questions, context.monitor)
    right = 0
    for index, question in enumerate(questions):
        context.stop.check()
        book.begin(index)
        book.add(index, rf"It is \boxed{{{config.answer}}}.", tokens=6, truncated=False)
        right += question.answer == str(config.answer)
        context.monitor.metric("eval/luck", index + 1, right / (index + 1))
    return book.close().summary_metrics | {"luck": right / len(questions)}
