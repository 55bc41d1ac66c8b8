"""How much disk a run needs: arithmetic, no torch."""

from memgen.contract.config import RunConfig
from memgen.contract.data_sets.registry import data_set
from memgen.contract.planner.activations import FLOAT
from memgen.contract.planner.parameters import beside_parameters
from memgen.contract.planner.parts import Parts, parts_of
from memgen.contract.presets import Preset
from memgen.contract.stages import stage_of

KEPT_CHECKPOINTS = 3  # the last two, and one that is being written


def output_bytes(config: RunConfig, preset: Preset, num_questions: int, start: Parts | None = None) -> int:
    """Upper estimate of the bytes that a run writes below its home: answers or checkpoints, log and events.

    Args:
        config: of the run.
        preset: its model.
        num_questions: that it works on.
        start: what its checkpoint has, where that is known.
    """
    log = 20 * 2**20
    stage, dims = stage_of(config), preset.dimensions
    if stage.trains:
        parts = parts_of(config, start)
        weights = FLOAT * beside_parameters(config, parts, dims, stage.memory.trained(config, parts, dims))
        checkpoints = KEPT_CHECKPOINTS * 3 * weights + weights  # with two moments each, and the final one
        return log + checkpoints + _rollouts(config, num_questions)
    chosen = data_set(config.data)
    more = (
        config.asking.longest_prompt(chosen) - chosen.longest[0]
    )  # tokens; each answer stands beside its whole prompt
    per_question = 4 * (config.max_completion_length + more) + 4_000
    return num_questions * per_question * 2 + log  # twice: the backend keeps a copy


def _rollouts(config: RunConfig, num_questions: int) -> int:
    """Bytes of the completions that a training from rewards keeps, and of the backend's copy."""
    work = stage_of(config).work
    kept = config.kept_completions(work.steps(config, num_questions)) if work.steps is not None else 0
    return 2 * kept * (4 * config.max_completion_length + 1_000)
