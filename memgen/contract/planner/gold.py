"""What measuring the likelihood of solutions holds: one pass over rows with their solutions, without gradients."""

from memgen.contract.data_sets.registry import data_set
from memgen.contract.planner.activations import widest
from memgen.contract.planner.moments import Moment, keys_and_values, label_logits
from memgen.contract.planner.shapes import Pass, Shape, answer_pass, weaver_passes
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import Evaluation

MOST_LABELS = 1024
"""Tokens of solutions in a batch of several rows."""


def gold_moments(config: Evaluation, dims: Dimensions, size: int, shape: Shape, held: int) -> list[Moment]:
    """As many rows as a batch may have, with solutions of equal shares; and the longest solution in as many as fit.

    Args:
        config: of the run.
        dims: of the model.
        size: bytes per number of the weights.
        shape: of a batch of answers, whose prompts count.
        held: bytes of the caches of answers that are under way meanwhile.
    """
    longest = data_set(config.data).longest[1]
    even = min(longest, max(1, MOST_LABELS // shape.rows))
    return [
        gold_moment(dims, size, _with_solution(shape, rows, solution), held)
        for rows, solution in ((shape.rows, even), (min(shape.rows, max(1, MOST_LABELS // longest)), longest))
    ]


def _with_solution(shape: Shape, rows: int, solution: int) -> Shape:
    return Shape(
        rows, shape.prompt, solution, shape.prompt_insertions, min(shape.insertions, solution), shape.prompt_latents,
        shape.inference_latents,
    )  # fmt: skip


def gold_moment(dims: Dimensions, size: int, shape: Shape, held: int) -> Moment:
    """One batch: the weaver reads first, then the reasoner what stands before the first latent, then the rest."""
    passes = weaver_passes(shape)
    seen = max([shape.positions, *(one.seen for one in passes)])
    whole = Pass(shape.prompt, shape.prompt)
    read = [*passes, whole, answer_pass(shape)] if passes else [Pass(shape.positions, shape.positions)]
    logits = 2 * label_logits(dims, shape.rows * shape.completion)  # and their log-probabilities
    transient = max(logits, *(widest(dims, size, shape.rows, one) for one in read))
    hidden = 2 * shape.rows * shape.positions * dims.hidden_size * size  # of all positions, and those of the labels
    caches = 2 * shape.rows * seen * keys_and_values(dims, size)  # what a pass has read stands beside the new copy
    return Moment("gold answers", held + caches, transient, 0, hidden)
