"""The likelihood of solutions against a plain forward pass over the same rows, and the same with latents."""

import torch

from benchmarks.ratio import Ratio, Side, measure, seconds
from benchmarks.setup import answer_ids, plain, prompt_ids, questions, woven
from memgen.model.base import BaseModel
from memgen.model.generation import pad_left
from memgen.stages import gold

ROWS, ROUNDS = 8, 5
BASE_LIMIT, WEAVER_LIMIT = 1.3, 2.3


def run(name: str) -> Ratio:
    """The plain model's own."""
    base = plain(name)
    return measure(likelihood(base, gold.plain(base)), forward(base), ROUNDS, BASE_LIMIT)


def run_weaver(name: str) -> Ratio:
    """With latents at every point of the solutions that the limits allow."""
    model = woven(name)
    ours = likelihood(model.base, gold.with_latents(model, trigger=False, choose=None))
    return measure(ours, forward(plain(name)), ROUNDS, WEAVER_LIMIT)


def pairs(base: BaseModel) -> list[tuple[list[int], list[int]]]:
    """Prompt and solution of each row."""
    return [(prompt_ids(base, question), answer_ids(base, question)) for question in questions(ROWS)]


def likelihood(base: BaseModel, logprobs: gold.Logprobs) -> Side:
    """Ours."""
    rows = pairs(base)
    ids = [torch.tensor(prompt + answer, device=base.device) for prompt, answer in rows]
    prompts = [len(prompt) for prompt, _ in rows]

    def work() -> None:
        with torch.inference_mode():
            for batch in gold.batches([(place, len(answer)) for place, (_, answer) in enumerate(rows)], ROWS):
                logprobs(batch, [ids[place] for place in batch], [prompts[place] for place in batch])

    return seconds(work)


def forward(base: BaseModel) -> Side:
    """Theirs: a padded batch, logits at all positions."""
    ids, mask = pad_left([prompt + answer for prompt, answer in pairs(base)], base.pad_id)
    ids, mask = ids.to(base.device), mask.to(base.device)

    def work() -> None:
        with torch.inference_mode():
            base.model(input_ids=ids, attention_mask=mask, use_cache=False)

    return seconds(work)
