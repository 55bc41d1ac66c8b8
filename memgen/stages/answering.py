"""What the evaluations share: answer questions greedily, score the answers, append each as it is done.

With latents, completions run `batch_size` at a time and the next question takes a free place at once; what stands
beside a question changes no more than the rounding of its numbers. The base is left to transformers, whose batches are
fixed slices of the questions: a half-answered batch is generated whole again after a stop, and only what was missing
is kept. Several ranks share what is missing, each `batch_size` at a time; an answer does not depend on their number.
Where memory runs out and the config leaves the width open, what was under way begins again, half as wide.
"""

from collections.abc import Callable, Sequence

import torch

from memgen.contract.answers import Augmentation
from memgen.contract.stage_configs import Evaluation
from memgen.contract.stages import stage_of
from memgen.data.prompt import Prompt
from memgen.data.questions import Question
from memgen.environment import CONDITIONS
from memgen.model.base import BaseModel
from memgen.model.generation import encode_prompts, generate_greedy
from memgen.model.lora import load_lora
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Completion, Replace, generate_woven
from memgen.stages.answer_book import AnswerBook, Insertions
from memgen.stages.causal_check import LatentsCheck
from memgen.stages.context import Context
from memgen.stages.gold import GoldAnswers, Instead, Logprobs, plain, with_latents
from memgen.stages.latent_search import LatentSearch
from memgen.stages.loading import load
from memgen.stages.recipe import Recipe
from memgen.stages.slices import slices
from memgen.stages.width import Width

Answer = Callable[[list[int], list[Question], list[list[int]], AnswerBook], None]
"""Answers this rank's share: places of the questions that have no answer, all questions, their prompts' token ids, and
where answers go."""


def answer_all(
    config: Evaluation,
    context: Context,
    questions: list[Question],
    recipe: Recipe,
) -> dict[str, float]:
    """Answer the questions of an evaluation; returns the summary's metrics.

    Args:
        config: of the run.
        context: of the run.
        questions: to answer.
        recipe: how they are asked, and what happens at an insertion.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for; answers given so far are in the file.
    """
    prompt = recipe.prompt
    loaded = load(config, context, CONDITIONS, {**prompt.facts(), **recipe.facts}, may_halve=True)
    width = loaded.width
    texts = [prompt.text(question.question) for question in questions]
    prompts = encode_prompts(loaded.base, texts, config.max_prompt_length)

    def gold(logprobs: Logprobs) -> GoldAnswers | None:
        return GoldAnswers(width, loaded.base, questions, prompts, logprobs) if config.nll else None

    if not config.has_latents:
        if loaded.checkpoint is not None:  # its LoRA goes into the base, which answers as ever
            load_lora(loaded.checkpoint, loaded.base, loaded.identity, stage_of(config).need(config.setting))
        answer = _plainly(config, context, loaded.base, width, gold(plain(loaded.base)))
    else:
        assert loaded.checkpoint is not None
        model = loaded.model(config, loaded.checkpoint)
        chosen = recipe.choose([question.id for question in questions])
        checking = recipe.check(model, context.stop)
        likely = gold(
            with_latents(
                model,
                trigger=config.uses_trigger,
                choose=chosen,
                instead=_by_place(questions, checking) if checking else None,
            )
        )
        answer = _with_latents(config, context, model, width, recipe, checking, likely)
    book, missing, least = _open_book(context, prompt, questions)
    width.rows = min(width.rows, least or width.rows)  # memory ran out in the attempt that is resumed
    context.monitor.phase("generate", f"{len(questions)} questions, {width.rows} at a time")
    book.report()
    answer(missing, questions, prompts, book)
    context.stop.check()
    if not context.team.is_main:
        return {}
    book.wait_for_all(context.stop)
    return book.close().summary_metrics


def _open_book(context: Context, prompt: Prompt, questions: list[Question]) -> tuple[AnswerBook, list[int], int | None]:
    """This rank's book, the places of all questions that have no answer yet, and the least width of the others."""
    team, run_dir, resume = context.team, context.run_dir, context.resume
    if not team.is_main:
        nothing: tuple[list[int], int | None] = ([], None)
        missing, least = team.from_main(nothing)  # the main process has removed old parts by then
        return AnswerBook(run_dir.answer_part(team.rank), prompt, questions, context.monitor), missing, least
    earlier = [resume.answers, *resume.answer_parts()] if resume else []
    parts = [run_dir.answer_part(rank) for rank in range(1, team.size)]
    book = AnswerBook(run_dir.answers, prompt, questions, context.monitor, earlier, parts)
    for old in run_dir.answer_parts():
        old.unlink()
    return book, *team.from_main((book.missing, book.least_width))


def _plainly(config: Evaluation, context: Context, base: BaseModel, width: Width, gold: GoldAnswers | None) -> Answer:
    def answer_batch(batch: Sequence[int], prompts: list[list[int]], book: AnswerBook) -> None:
        if gold is not None:
            gold.measure(batch)
        for index in batch:
            book.begin(index)
        generate_greedy(
            base,
            prompts,
            config.max_completion_length,
            lambda row, ids, truncated: book.add(
                batch[row],
                text_of(base, ids),
                len(ids),
                truncated,
                metrics=gold.metrics(batch[row]) if gold else None,
                batch_size=width.rows,
            ),
            lambda: context.stop.requested() is not None,
            book.tell_step,
        )

    def answer(missing: list[int], _: list[Question], prompts: list[list[int]], book: AnswerBook) -> None:
        starts = sorted({index - index % width.first for index in missing})[context.team.rank :: context.team.size]
        own = [range(start, min(start + width.first, len(prompts))) for start in starts]

        def answer_own() -> None:
            left = set(missing).intersection(book.missing)
            for batch in (part for whole in own for part in slices(whole, width.rows)):
                if left.intersection(batch):
                    context.stop.check()
                    answer_batch(batch, [prompts[index] for index in batch], book)

        width.halving(answer_own)

    return answer


def _with_latents(
    config: Evaluation,
    context: Context,
    model: MemGenModel,
    width: Width,
    recipe: Recipe,
    check: LatentsCheck | None,
    gold: GoldAnswers | None,
) -> Answer:
    def answer(missing: list[int], questions: list[Question], prompts: list[list[int]], book: AnswerBook) -> None:
        share = missing[context.team.rank :: context.team.size]
        width.halving(lambda: answer_own(share, questions, prompts, book))

    def answer_own(share: list[int], questions: list[Question], prompts: list[list[int]], book: AnswerBook) -> None:
        left = set(book.missing)
        own = [index for index in share if index in left]
        if not own:
            return
        ids = [questions[index].id for index in own]
        improve = recipe.search(model, ids, context.stop)

        def on_start(number: int) -> None:
            if gold is not None:
                gold.measure_ahead(own, number)
            book.begin(own[number])

        def on_row(number: int, completion: Completion) -> None:
            done = insertions_of(completion, model.base, number, ids[number], improve, check)
            metrics = gold.metrics(own[number]) if gold else None
            tokens, truncated = completion.text_ids, not completion.ended
            book.add(
                own[number], text_of(model.base, tokens), len(tokens), truncated, done, metrics, batch_size=width.rows
            )

        generate_woven(
            model,
            [torch.tensor(prompts[index], device=model.base.device) for index in own],
            config.max_completion_length,
            trigger=config.uses_trigger,
            width=width.rows,
            improve=improve,
            replace=by_number(ids, check) if check else None,
            choose=recipe.choose(ids),
            on_start=on_start,
            on_row=on_row,
            should_stop=lambda: context.stop.requested() is not None,
            on_pass=book.tell_step,
        )

    return answer


def insertions_of(
    completion: Completion,
    base: BaseModel,
    number: int,
    question_id: str,
    improve: LatentSearch | None,
    check: LatentsCheck | None,
) -> Insertions:
    """What became of the latents of an answer that is done.

    Args:
        completion: the answer.
        base: the model.
        number: of its prompt, among those that `improve` has searched for.
        question_id: as in the answer file.
        improve: what improved its latents.
        check: what replaced them.
    """
    tokens = completion.text_ids
    points = [
        Augmentation(
            token=one.token, asked=one.asked, inserted=one.inserted, character=len(text_of(base, tokens[: one.token]))
        )
        for one in completion.decisions
    ]
    return Insertions(
        points,
        ltpo=improve.traces[number] if improve else None,
        causal_check=check.record(question_id) if check else None,
    )


def by_number(ids: Sequence[str], check: LatentsCheck) -> Replace:
    """What a check inserts while answers are generated, by the number of the prompt."""
    return lambda latents, number, token: check.insert(ids[number], latents, token)


def _by_place(questions: Sequence[Question], check: LatentsCheck) -> Instead:
    """What a check has stand in a solution, by the place of the question."""
    return lambda latents, place, token, nth: check.instead(questions[place].id, latents, token, nth)


def text_of(base: BaseModel, ids: list[int]) -> str:
    """The text of an answer's tokens."""
    text: str = base.tokenizer.decode(ids, skip_special_tokens=True)
    return text
