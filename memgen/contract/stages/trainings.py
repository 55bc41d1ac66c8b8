"""What the records of all trainings share, and those of trainings from rewards."""

from memgen.contract.stage import Figure, Output, Panel
from memgen.contract.stage_configs import FromRewards, Training

AREA = "train"
PACE = ("batch_size", "gradient_accumulation_steps", "data", "max_completion_length")
EMPTY = {"max_steps": "all epochs", "revision": "newest"}
EMPTY_IN_PIECES = {**EMPTY, "micro_batch_size": "automatic"}
EMPTY_OF_LORA = {**EMPTY_IN_PIECES, "num_questions": "all", "max_seconds": "no limit", "trained_numbers": "by the rank"}
LOSSES = (
    Figure("loss", "Last loss", ".4g"),
    Figure("eval_loss_before", "Validation loss at the start", ".4g"),
    Figure("eval_loss", "Validation loss", ".4g"),
    Figure("num_examples", "Examples available", ",.0f"),
)
LOSS = Panel("Loss", ("train/loss", "eval/loss"), "In nats per token of the solutions; eval: on validation rows", 2)
LEARNING_RATE = Panel("Learning rate", ("train/learning_rate",), "Of the LoRA")
REWARDS = (Figure("reward", "Last reward", ".3f"), Figure("reward_std", "Last reward std", ".3f"))
NO_SIGNAL = Figure("frac_reward_zero_std", "Groups without signal", "%")
PROMPTS = Figure("num_prompts", "Questions available", ",.0f")
REWARD = Panel("Reward", ("train/reward", "train/reward_std"), "Mean, and standard deviation within a question", 2)
WITHOUT_SIGNAL = Panel(
    "Groups without signal",
    ("train/frac_reward_zero_std",),
    "Share of questions whose completions all have the same reward: they teach nothing",
)
COMPLETION_LENGTH = Panel("Completion length", ("train/completions/mean_length",), "Mean, in tokens")
TRUNCATED = Panel(
    "Truncated and boxed",
    ("train/completions/truncated", "train/completions/boxed"),
    "Completions that ended at the length limit, and those that have their answer in a box",
)
SHARES_OF_ROLLOUTS = frozenset(
    {
        "train/accuracy",
        "train/completions/boxed",
        "train/completions/truncated",
        "train/frac_reward_zero_std",
        "train/insert_rate",
    }
)
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


def steps_of_rollouts(config: FromRewards, rows: int) -> int:
    """Steps on so many questions, `num_iterations` for each batch of completions."""
    rollouts = -(-rows // (rows_of_a_step(config) // config.num_generations)) * config.num_train_epochs
    return at_most(config, rollouts * config.num_iterations)
