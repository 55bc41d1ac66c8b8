"""Stage `evaluate`: answers of the plain model, or with latents where weaver, trigger or chance want them."""

import hashlib
from collections.abc import Sequence

from memgen.contract.data_sets.registry import data_set
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.data.prompt import make_prompt
from memgen.data.questions import Question
from memgen.model.woven_generation import Choose
from memgen.stages.answering import answer_all
from memgen.stages.context import Context


def evaluate(
    config: EvaluateConfig, context: Context, questions: list[Question], training: Sequence[Question] = ()
) -> dict[str, float]:
    """Run the stage; returns the summary's metrics.

    Args:
        config: of the run.
        context: of the run.
        questions: to answer.
        training: rows that worked examples are drawn from, where the config wants any.

    Raises:
        BadInput: model, checkpoint, the folder to resume or the number of examples can't be used.
        Stopped: a stop was asked for; answers given so far are in the file.
    """
    prompt = make_prompt(data_set(config.data), config.asking, questions, training, config.seed)
    return answer_all(config, context, questions, prompt=prompt, choose=lambda ids: _by_chance(config, ids))


def _by_chance(config: EvaluateConfig, question_ids: list[str]) -> Choose | None:
    """Insertion by chance, where the config wants it; it depends on seed, question and place alone."""
    if config.insert_probability is None:
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
