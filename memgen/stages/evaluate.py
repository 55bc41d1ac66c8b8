"""Stage `evaluate`: answers of the plain model, or with latents where weaver, trigger or chance want them."""

import hashlib
from collections.abc import Sequence

from memgen.contract.data_sets.registry import data_set
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.data.prompt import make_prompt
from memgen.data.questions import Question, rows_hash
from memgen.environment import REFERENCE_IDS, REFERENCES
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Choose
from memgen.stages.answering import answer_all
from memgen.stages.causal_check import LatentsCheck, draw_references
from memgen.stages.context import Context
from memgen.stages.recipe import Recipe
from memgen.stop import StopRequest


def evaluate(
    config: EvaluateConfig, context: Context, questions: list[Question], training: Sequence[Question] = ()
) -> dict[str, float]:
    """Run the stage; returns the summary's metrics.

    Args:
        config: of the run.
        context: of the run.
        questions: to answer.
        training: rows that worked examples, or latents of other questions, come from, where the config wants any.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used, or there are too few training rows.
        Stopped: a stop was asked for; answers given so far are in the file.
    """
    return answer_all(config, context, questions, recipe(config, questions, training))


def recipe(config: EvaluateConfig, questions: Sequence[Question], training: Sequence[Question] = ()) -> Recipe:
    """How the stage answers.

    Args:
        config: of the run.
        questions: to answer; none of them becomes an example.
        training: rows that worked examples, or latents of other questions, come from, where the config wants any.

    Raises:
        BadInput: there are too few training rows.
    """
    prompt = make_prompt(data_set(config.data), config.asking, questions, training, config.seed)
    references = draw_references(config, questions, training)

    def check(model: MemGenModel, stop: StopRequest) -> LatentsCheck | None:
        return LatentsCheck(config, model, references, prompt, stop) if config.causal_check else None

    facts = {REFERENCE_IDS: [one.id for one in references], REFERENCES: rows_hash(references)} if references else {}
    return Recipe(prompt, choose=lambda ids: _choose(config, ids), check=check, facts=facts)


def _choose(config: EvaluateConfig, question_ids: list[str]) -> Choose | None:
    """Insertion nowhere or by chance, where the config wants it; chance asks seed, question and place alone."""
    if config.causal_check == "none":
        return lambda _number, _token: False
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
