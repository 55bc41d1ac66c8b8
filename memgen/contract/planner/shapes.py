"""The shape of a run's batches: how long rows get, and which passes of the model they go through. No torch."""

from dataclasses import dataclass

from memgen.contract.data_sets.registry import data_set
from memgen.contract.insertion import Limits
from memgen.contract.planner.parts import Parts
from memgen.contract.stage_configs import LENGTHS, LIMITS, StageConfig


@dataclass(frozen=True)
class Shape:
    """Rows of a batch, all of one length; insertions after delimiters are spread evenly over the answer."""

    rows: int
    prompt: int
    """Tokens in front of the answer."""
    completion: int
    """Tokens of the answer."""
    prompt_insertions: int = 1
    """Insertions at the end of the prompt, 0 or 1."""
    insertions: int = 5
    """Insertions after delimiters of the answer."""
    prompt_latents: int = 8
    """Latents of an insertion at the end of the prompt."""
    inference_latents: int = 8
    """Latents of an insertion after a delimiter."""

    @property
    def latents(self) -> int:
        """Latents of a row."""
        return self.prompt_insertions * self.prompt_latents + self.insertions * self.inference_latents

    @property
    def positions(self) -> int:
        """What the reasoner has read of a row at its end: tokens and latents."""
        return self.prompt + self.completion + self.latents


@dataclass(frozen=True)
class Pass:
    """One pass through the base."""

    new: int
    """Positions that a row reads."""
    seen: int
    """Positions that it attends to: those and what is in the cache."""


def batch_of_answers(config: StageConfig, parts: Parts) -> Shape:
    """The batch with most tokens where answers are generated, by limits and data.

    All its prompts may be the longest one: the completions of a rollout share their prompt, and every row gets as much
    room as the longest answer under way. All answers may reach their limit.
    """
    return _batch(config, parts, config.asking.longest_prompt(data_set(config.data)), config.max_completion_length)


def batch_of_solutions(config: StageConfig, parts: Parts) -> Shape:
    """The batch of training rows with the most tokens, by limits and data.

    A single row may be the longest of all; several such rows hardly ever meet in one batch.
    """
    chosen = data_set(config.data)
    prompt, solution = chosen.fullest if _rows(config) > 1 else chosen.longest
    return _batch(config, parts, prompt, min(config.max_completion_length, solution))


def _batch(config: StageConfig, parts: Parts, prompt: int, completion: int) -> Shape:
    prompt = min(config.max_prompt_length, prompt)
    if not config.has_latents:
        return Shape(_rows(config), prompt, completion, prompt_insertions=0, insertions=0)
    limits = Limits(**{name: parts.numbers[name] for name in LIMITS})
    return Shape(
        _rows(config),
        prompt,
        completion,
        prompt_insertions=limits.max_prompt_aug_num,
        insertions=limits.most_insertions(completion),
        prompt_latents=parts.numbers["prompt_latents_len"],
        inference_latents=parts.numbers["inference_latents_len"],
    )


def _rows(config: StageConfig) -> int:
    """Rows of a batch; where as many as fit are asked for, one is what a run can't do without."""
    return config.width or 1


def longest_row(config: StageConfig, parts: Parts) -> int:
    """Positions of the longest row that a run's limits allow: tokens, latents, and queries of the weaver after them."""
    limits = Limits(**{name: parts.numbers[name] for name in LIMITS})
    lengths = [parts.numbers[name] for name in LENGTHS]
    insertions = (limits.max_prompt_aug_num, limits.most_insertions(config.max_completion_length))
    latents = sum(number * length for number, length in zip(insertions, lengths, strict=True))
    return config.max_prompt_length + config.max_completion_length + latents + max(lengths)


def weaver_passes(shape: Shape) -> list[Pass]:
    """The weaver's passes over a batch: each reads the tokens since the last one, the latents before, and queries."""
    gap = shape.completion // shape.insertions if shape.insertions else 0
    turns = [(0, shape.prompt_latents)] * shape.prompt_insertions + [(gap, shape.inference_latents)] * shape.insertions
    passes = []
    read, unread = 0, shape.prompt
    for fresh, queries in turns:
        unread += fresh
        passes.append(Pass(unread + queries, read + unread + queries))
        read, unread = read + unread, queries  # the queries are forgotten, the latents are read with the next tokens
    return passes


def answer_pass(shape: Shape) -> Pass:
    """The reasoner's pass with gradients: what stands after the prompt, latents in place."""
    return Pass(shape.positions - shape.prompt, shape.positions)
