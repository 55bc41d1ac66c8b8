"""What runs stage `drift`."""

from drift_stage import DriftConfig

from memgen.contract.rows import num_steps
from memgen.contract.stage_configs import LENGTHS, LIMITS
from memgen.data.questions import Question
from memgen.environment import TRAINING_CONDITIONS
from memgen.model.checkpoint import new_model
from memgen.model.memgen_model import LatentSettings
from memgen.stages.context import Context
from memgen.stages.loading import load
from memgen.stages.training import TrainingLoop


def drift(
    config: DriftConfig, context: Context, questions: list[Question], _held_out: list[Question]
) -> dict[str, float]:
    """Run the stage; returns its last metrics."""
    loaded = load(config, context, TRAINING_CONDITIONS)
    model = new_model(
        loaded.base,
        LatentSettings(**config.model_dump(include={*LENGTHS, *LIMITS})),
        lora_r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
    )
    steps = num_steps(config, len(questions))
    loop = TrainingLoop(config, context, loaded, model, part="weaver", rates={}, total_steps=steps, resumed=None)

    parameters = [parameter for group in model.train_part("weaver").values() for parameter in group]

    def step(_number: int) -> dict[str, float]:
        loss = sum(parameter.sum() for parameter in parameters)
        loss.backward()
        return {"loss": float(loss.detach())}

    return loop.run(step)
