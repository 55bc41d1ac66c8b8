"""Stages `evaluate` and `ltpo_evaluate`: answer questions greedily, score the answers, append each as it is done.

With latents, completions run `batch_size` at a time and the next question takes a free place at once; what stands
beside a question changes no more than the rounding of its numbers. The base is left to transformers, whose batches are
fixed slices of the questions: a half-answered batch is generated whole again after a stop, and only what was missing
is kept. Several ranks share what is missing, each `batch_size` at a time; an answer does not depend on their number.
"""

import hashlib
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
from memgen.model.woven_generation import Choose, Completion, generate_woven
from memgen.stages.answer_book import AnswerBook
from memgen.stages.context import Context
from memgen.stages.latent_search import LatentSearch
from memgen.stages.loading import load

Answer = Callable[[list[int], list[Question], list[list[int]], AnswerBook], None]
"""Answers this rank's share: places of the questions that have no answer, all questions, their prompts' token ids, and
where answers go."""


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
    book, missing = _open_book(context, questions)
    context.monitor.phase("generate", f"{len(questions)} questions, {config.batch_size} at a time")
    book.report()
    answer(missing, questions, prompts, book)
    context.stop.check()
    if not context.team.is_main:
        return {}
    book.wait_for_all(context.stop)
    context.monitor.artifact("answers", str(context.run_dir.answers.relative_to(context.run_dir.path)))
    return book.close().summary_metrics


def _open_book(context: Context, questions: list[Question]) -> tuple[AnswerBook, list[int]]:
    """This rank's book, and the places of all questions that have no answer yet."""
    team, run_dir, resume = context.team, context.run_dir, context.resume
    if not team.is_main:
        missing: list[int] = team.from_main([])  # the main process has removed old parts by then
        return AnswerBook(run_dir.answer_part(team.rank), questions, context.monitor), missing
    earlier = [resume.answers, *resume.answer_parts()] if resume else []
    parts = [run_dir.answer_part(rank) for rank in range(1, team.size)]
    book = AnswerBook(run_dir.answers, questions, context.monitor, earlier, parts)
    for old in run_dir.answer_parts():
        old.unlink()
    return book, team.from_main(book.missing)


def _plainly(config: EvaluateConfig | LtpoEvaluateConfig, context: Context, base: BaseModel) -> Answer:
    def answer_batch(batch: range, prompts: list[list[int]], book: AnswerBook) -> None:
        for index in batch:
            book.begin(index)
        generate_greedy(
            base,
            prompts,
            config.max_completion_length,
            lambda row, ids, truncated: book.add(batch[row], _text(base, ids), len(ids), truncated),
            lambda: context.stop.requested() is not None,
            book.tell_step,
        )

    def answer(missing: list[int], _: list[Question], prompts: list[list[int]], book: AnswerBook) -> None:
        starts = sorted({index - index % config.batch_size for index in missing})
        for start in starts[context.team.rank :: context.team.size]:
            batch = range(start, min(start + config.batch_size, len(prompts)))
            context.stop.check()
            answer_batch(batch, [prompts[index] for index in batch], book)

    return answer


def _with_latents(config: EvaluateConfig | LtpoEvaluateConfig, context: Context, model: MemGenModel) -> Answer:
    def answer(missing: list[int], questions: list[Question], prompts: list[list[int]], book: AnswerBook) -> None:
        own = missing[context.team.rank :: context.team.size]
        if not own:
            return
        search = None
        if isinstance(config, LtpoEvaluateConfig) and config.max_steps:
            search = LatentSearch(config, model, [questions[index].id for index in own], context.stop)

        def on_row(number: int, completion: Completion) -> None:
            ids = completion.text_ids
            points = [Augmentation(token=d.token, asked=d.asked, inserted=d.inserted) for d in completion.decisions]
            traces = search.traces[number] if search else None
            book.add(own[number], _text(model.base, ids), len(ids), not completion.ended, points, traces)

        generate_woven(
            model,
            [torch.tensor(prompts[index], device=model.base.device) for index in own],
            config.max_completion_length,
            trigger=config.uses_trigger,
            width=config.batch_size,
            improve=search,
            choose=_by_chance(config, [questions[index].id for index in own]),
            on_start=lambda number: book.begin(own[number]),
            on_row=on_row,
            should_stop=lambda: context.stop.requested() is not None,
            on_pass=book.tell_step,
        )

    return answer


def _by_chance(config: EvaluateConfig | LtpoEvaluateConfig, question_ids: list[str]) -> Choose | None:
    """Insertion by chance, where the config wants it; it depends on seed, question and place alone."""
    if not isinstance(config, EvaluateConfig) or config.insert_probability is None:
        return None
    probability, seed = config.insert_probability, config.seed

    return lambda number, token: chance(seed, question_ids[number], token) < probability


def chance(seed: int, question_id: str, token: int) -> float:
    """What insertion by chance compares with its probability: in [0, 1), from seed, question and place alone.

    Args:
        seed: of the run.
        question_id: as in the answer file.
        token: index of the completion token in front of which latents would stand; 0 is the end of the prompt.
    """
    digest = hashlib.sha256(f"{seed}:insert:{question_id}:{token}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _text(base: BaseModel, ids: list[int]) -> str:
    text: str = base.tokenizer.decode(ids, skip_special_tokens=True)
    return text
