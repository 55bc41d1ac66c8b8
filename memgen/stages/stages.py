"""Which function runs a config. Torch is imported only behind this, once the data is known to be there."""

from memgen.contract.config import RunConfig
from memgen.contract.gsm8k_folder import check_gsm8k_folder
from memgen.contract.rows import check_num_questions, split_of
from memgen.contract.stage_configs import TriggerGrpoConfig, WeaverSftConfig
from memgen.stages.context import Context


def run_stage(config: RunConfig, context: Context) -> dict[str, float]:
    """Run a stage; returns the numbers of its result.

    Raises:
        BadInput: data, model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for; what its mode allows has been saved.
    """
    if config.data == "gsm8k" and context.gsm8k_folder is not None:
        check_gsm8k_folder(context.gsm8k_folder)
    check_num_questions(config, context.gsm8k_folder)
    if isinstance(config, WeaverSftConfig):
        questions, held_out = context.questions(config, "train"), context.questions(config, "validation")
        from memgen.stages.weaver_sft import weaver_sft

        return weaver_sft(config, context, questions, held_out[: config.eval_questions])
    if isinstance(config, TriggerGrpoConfig):
        questions = context.questions(config, "train")
        from memgen.stages.trigger_grpo import trigger_grpo

        return trigger_grpo(config, context, questions)
    questions = context.questions(config, split_of(config), config.num_questions)
    from memgen.stages.evaluate import evaluate

    return evaluate(config, context, questions)
