"""Stage `ltpo_evaluate`: answers with latents that are optimised for each question."""

from memgen.contract.stages.ltpo_evaluate import LtpoEvaluateConfig
from memgen.data.questions import Question
from memgen.model.memgen_model import MemGenModel
from memgen.stages.answering import answer_all
from memgen.stages.context import Context
from memgen.stages.latent_search import LatentSearch


def ltpo_evaluate(config: LtpoEvaluateConfig, context: Context, questions: list[Question]) -> dict[str, float]:
    """Run the stage; returns the summary's metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for; answers given so far are in the file.
    """

    def search(model: MemGenModel, ids: list[str]) -> LatentSearch | None:
        return LatentSearch(config, model, ids, context.stop) if config.max_steps else None

    return answer_all(config, context, questions, search=search)
