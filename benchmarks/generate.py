"""Generation with latents against transformers' cached greedy `generate`: the same prompts and lengths, no end."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from benchmarks.ratio import Ratio, Side, measure, seconds
from benchmarks.setup import plain, prompt_ids, questions, woven
from memgen.doctor.card.random_model import regularly
from memgen.model.base import BaseModel
from memgen.model.generation import pad_left
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Completion, generate_woven

ROWS, TOKENS, ROUNDS, LIMIT = 4, 256, 3, 1.25
INSERTIONS = 6  # at the prompt, and five after it
EVERY, SHIFT = 41, 10  # tokens of a row from one insertion to the next, and from one row to the next: they take turns
EARLY, LATE, WINDOW, GROWTH_LIMIT = 64, 512, 16, 1.2  # time per token: a median over the tokens around each length
NEVER = -1  # the id of an end token that does not come


def run(name: str) -> Ratio:
    """Seconds for the whole batch."""
    model, base = endless(name), plain(name)
    ours, theirs = prompts(model.base, ROWS), prompts(base, ROWS)
    return measure(
        seconds(lambda: checked(weave(model, ours, TOKENS))),
        seconds(lambda: continue_plainly(base, theirs, TOKENS)),
        ROUNDS,
        LIMIT,
    )


def run_growth(name: str) -> Ratio:
    """How much longer a token takes at 512 than at 64, in one row."""
    model, base = endless(name), plain(name)
    ours, theirs = prompts(model.base, 1), prompts(base, 1)
    length = LATE + WINDOW
    return measure(
        growth(lambda tell: weave(model, ours, length, tell)),
        growth(lambda tell: continue_plainly(base, theirs, length, tell)),
        ROUNDS,
        GROWTH_LIMIT,
    )


def endless(name: str) -> MemGenModel:
    """A model whose rows all go to the length limit; latents may be inserted after each token."""
    model = woven(name)
    model.is_delimiter = lambda token: True  # type: ignore[method-assign]  # noqa: ARG005
    model.base = replace(model.base, eos_id=NEVER)
    return model


def prompts(base: BaseModel, number: int) -> list[list[int]]:
    """Prompts in tokens."""
    return [prompt_ids(base, question) for question in questions(number)]


def weave(
    model: MemGenModel, rows: list[list[int]], length: int, tell: Callable[[], None] = lambda: None
) -> list[Completion]:
    """Ours."""
    ids = [torch.tensor(row, device=model.base.device) for row in rows]
    return generate_woven(model, ids, length, trigger=False, choose=regularly(EVERY, SHIFT), on_pass=tell)


def checked(completions: list[Completion]) -> None:
    """Refuse a measurement with fewer insertions than it is said to have."""
    found = [sum(decision.inserted for decision in one.decisions) for one in completions]
    if found != [INSERTIONS] * len(found):
        raise RuntimeError(f"insertions of the rows: {found}, wanted {INSERTIONS} in each")


class _Tell(StoppingCriteria):
    """Tells each token and stops nothing."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def __call__(self, input_ids: torch.LongTensor, *_: object, **__: object) -> torch.BoolTensor:
        self._tell()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]


def continue_plainly(
    base: BaseModel, rows: list[list[int]], length: int, tell: Callable[[], None] | None = None
) -> None:
    """Theirs."""
    ids, mask = pad_left(rows, base.pad_id)
    base.model.generation_config.eos_token_id = None
    config = GenerationConfig(max_new_tokens=length, do_sample=False, pad_token_id=base.pad_id, use_cache=True)
    with torch.inference_mode():
        out = base.model.generate(  # type: ignore[operator]
            input_ids=ids.to(base.device),
            attention_mask=mask.to(base.device),
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([_Tell(tell)] if tell else []),
        )
    if out.shape[1] != ids.shape[1] + length:
        raise RuntimeError(f"{out.shape[1] - ids.shape[1]} new tokens, wanted {length}")


def growth(generate: Callable[[Callable[[], None]], object]) -> Side:
    """A side that costs the time per token at 512 over that at 64."""

    def measured() -> float:
        times: list[float] = []
        generate(lambda: times.append(time.perf_counter()))
        gaps = [after - before for before, after in pairwise(times)]

        def around(length: int) -> float:
            return statistics.median(gaps[length - WINDOW : length + WINDOW - 1])

        return around(LATE) / around(EARLY)

    return measured
