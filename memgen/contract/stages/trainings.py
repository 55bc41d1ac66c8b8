"""What the records of all trainings share."""

from memgen.contract.stage import Output, Panel
from memgen.contract.stage_configs import Training

AREA = "train"
PACE = ("batch_size", "gradient_accumulation_steps", "data", "max_completion_length")
EMPTY = {"max_steps": "all epochs", "revision": "newest"}
GRADIENT_NORM = Panel("Gradient norm", ("train/grad_norm",), "Before it is scaled down to max_grad_norm")


def checkpoint(folder: str) -> Output:
    """A checkpoint in a folder of this name."""
    return Output(AREA, folder)


def rows_of_a_step(config: Training, _rows: int = 0) -> int:
    """Rows of one step, on all GPUs."""
    return config.batch_size * config.gradient_accumulation_steps


def at_most(config: Training, steps: int) -> int:
    """Steps of all epochs, or fewer where the config says so."""
    return steps if config.max_steps is None else min(steps, config.max_steps)
