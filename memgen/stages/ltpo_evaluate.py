"""Stage `ltpo_evaluate`: answers with latents that are optimised for each question."""

from collections.abc import Sequence

from memgen.contract.data_sets.registry import data_set
from memgen.contract.stages.ltpo_evaluate import LtpoEvaluateConfig
from memgen.data.prompt import Prompt
from memgen.data.questions import Question
from memgen.model.memgen_model import MemGenModel
from memgen.stages.answering import answer_all
from memgen.stages.context import Context
from memgen.stages.latent_search import LatentSearch
from memgen.stages.recipe import Recipe
from memgen.stop import StopRequest


def ltpo_evaluate(config: LtpoEvaluateConfig, context: Context, questions: list[Question]) -> dict[str, float]:
    """Run the stage; returns the summary's metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for; answers given so far are in the file.
    """
    return answer_all(config, context, questions, recipe(config, questions))


def recipe(config: LtpoEvaluateConfig, _questions: Sequence[Question], _training: Sequence[Question] = ()) -> Recipe:
    """How the stage answers."""

    def search(model: MemGenModel, ids: list[str], stop: StopRequest) -> LatentSearch | None:
        return LatentSearch(config, model, ids, stop) if config.max_steps else None

    return Recipe(Prompt(data_set(config.data)), search=search)
