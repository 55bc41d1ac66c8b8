"""What the trainings from rewards share (GRPO): the questions of a step, the clipped gain, the weights at the start."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.rows import num_rows
from memgen.contract.stage_configs import FromRewards
from memgen.contract.stages.trainings import rows_of_a_step
from memgen.data.prompt import question_prompt
from memgen.data.questions import Question
from memgen.model.base import BaseModel
from memgen.model.generation import encode_prompts
from memgen.model.memgen_model import MemGenModel
from memgen.stages.context import Context
from memgen.stages.training import batch_of, drawn, seed_of


def drawn_prompts(
    config: FromRewards, context: Context, base: BaseModel, questions: list[Question]
) -> tuple[list[Question], list[list[int]]]:
    """The questions of a training, drawn by its seed, and their prompts' token ids.

    Raises:
        BadInput: a prompt is too long.
    """
    chosen = drawn(questions, num_rows(config, context.data_folder), config.seed)
    texts = [question_prompt(data_set(config.data), question.question) for question in chosen]
    return chosen, encode_prompts(base, texts, config.max_prompt_length)


def questions_of(config: FromRewards, count: int, number: int) -> tuple[list[int], list[int]]:
    """Which of `count` questions the rollout of a step takes, and a seed for each of its completions.

    Args:
        config: of the run.
        count: questions of the training.
        number: of the step.
    """
    completions = rows_of_a_step(config)
    batch = batch_of(count, completions // config.num_generations, number // config.num_iterations, config.seed)
    return batch, [seed_of(config.seed, "rollout", number, place) for place in range(completions)]


def clipped_gain(logprobs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, epsilon: float) -> torch.Tensor:
    """What each choice (n,) gains: its advantage times its ratio to the rollout's probability, clipped as in PPO."""
    ratio = (logprobs - old).exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1 - epsilon, 1 + epsilon) * advantages)


def copies(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The values of parameters as they are now."""
    return [parameter.detach().clone() for parameter in parameters]


@contextmanager
def swapped(parameters: Sequence[torch.nn.Parameter], values: Sequence[torch.Tensor]) -> Iterator[None]:
    """Inside the block parameters have these values, and no gradient is kept."""
    kept = copies(parameters)
    with torch.no_grad():
        _set(parameters, values)
        try:
            yield
        finally:
            _set(parameters, kept)


def _set(parameters: Sequence[torch.nn.Parameter], values: Sequence[torch.Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


def check_some_insertion(model: MemGenModel) -> None:
    """Refuse limits under which a training would have nothing to train.

    Raises:
        BadInput: `no_insertion`.
    """
    if model.settings.max_prompt_aug_num or model.settings.max_inference_aug_num:
        return
    raise BadInput(
        "no_insertion",
        "with these limits and the checkpoint's nothing is ever inserted, and there is nothing to learn from",
        field="max_inference_aug_num",
        value=model.settings.max_inference_aug_num,
        way_out="Set max_inference_aug_num or max_prompt_aug_num above 0.",
    )
