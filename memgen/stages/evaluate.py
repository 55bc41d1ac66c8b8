"""Stages `evaluate` and `ltpo_evaluate`: answer questions greedily, score the answers, append each as it is done.

Batches are fixed slices of the question list. A resumed evaluation generates a half-answered batch whole
again and keeps only what was missing, so that every answer comes from the same batch as without a stop.
"""

from collections.abc import Callable

import torch

from memgen.contract.answers import Augmentation
from memgen.contract.stage_configs import EvaluateConfig, LtpoEvaluateConfig
from memgen.data.questions import Question
from memgen.environment import CONDITIONS
from memgen.model.base import BaseModel
from memgen.model.chat import question_messages, render
from memgen.model.generation import encode_prompts, generate_greedy
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Completion, generate_woven
from memgen.stages.answer_book import AnswerBook
from memgen.stages.context import Context
from memgen.stages.latent_search import LatentSearch
from memgen.stages.loading import load

Answer = Callable[[list[Question], list[list[int]], AnswerBook], None]
"""Answers a batch: questions, their prompts' token ids, where answers go."""


def evaluate(
    config: EvaluateConfig | LtpoEvaluateConfig, context: Context, questions: list[Question]
) -> dict[str, float]:
    """Run the stage; returns the summary's metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for; answers given so far are in the file.
    """
    loaded = load(config, context, CONDITIONS)
    texts = [render(question_messages(question.question)) for question in questions]
    prompts = encode_prompts(loaded.base, texts, config.max_prompt_length)
    if loaded.checkpoint is None:
        answer = _plainly(config, context, loaded.base)
    else:
        answer = _with_latents(config, context, loaded.model(config, loaded.checkpoint))
    earlier = context.resume.answers if context.resume else None
    book = AnswerBook(context.run_dir.answers, questions, context.monitor, config.batch_size, earlier)
    context.monitor.phase("generate", f"{len(questions)} questions in batches of {config.batch_size}")
    book.report()
    num_batches = -(-len(questions) // config.batch_size)
    for number, start in enumerate(range(0, len(questions), config.batch_size), start=1):
        batch = range(start, min(start + config.batch_size, len(questions)))
        if all(index in book for index in batch):
            continue
        context.stop.check()
        book.begin_batch(number, num_batches, start)
        answer([questions[index] for index in batch], [prompts[index] for index in batch], book)
    context.stop.check()
    context.monitor.artifact("answers", str(context.run_dir.answers.relative_to(context.run_dir.path)))
    return book.close().summary_metrics


def _plainly(config: EvaluateConfig | LtpoEvaluateConfig, context: Context, base: BaseModel) -> Answer:
    def answer(_: list[Question], prompts: list[list[int]], book: AnswerBook) -> None:
        generate_greedy(
            base,
            prompts,
            config.max_completion_length,
            lambda row, ids, truncated: book.add_row(row, _text(base, ids), len(ids), truncated),
            lambda: context.stop.requested() is not None,
            book.tell_token,
        )

    return answer


def _with_latents(config: EvaluateConfig | LtpoEvaluateConfig, context: Context, model: MemGenModel) -> Answer:
    def answer(questions: list[Question], prompts: list[list[int]], book: AnswerBook) -> None:
        search = None
        if isinstance(config, LtpoEvaluateConfig) and config.max_steps:
            search = LatentSearch(config, model, [question.id for question in questions], context.stop)

        def on_row(row: int, completion: Completion) -> None:
            ids = completion.text_ids
            points = [Augmentation(token=d.token, asked=d.asked, inserted=d.inserted) for d in completion.decisions]
            traces = search.traces[row] if search else None
            book.add_row(row, _text(model.base, ids), len(ids), not completion.ended, points, traces)

        generate_woven(
            model,
            [torch.tensor(ids, device=model.base.device) for ids in prompts],
            config.max_completion_length,
            trigger=config.uses_trigger,
            improve=search,
            on_row=on_row,
            should_stop=lambda: context.stop.requested() is not None,
            on_token=book.tell_token,
        )

    return answer


def _text(base: BaseModel, ids: list[int]) -> str:
    text: str = base.tokenizer.decode(ids, skip_special_tokens=True)
    return text
