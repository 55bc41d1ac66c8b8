"""A step of trigger GRPO, rollout and update, against the rollout alone."""

from itertools import count
from pathlib import Path

import torch

from benchmarks.generate import endless
from benchmarks.ratio import Ratio, measure, seconds
from benchmarks.setup import prompt_ids, questions
from memgen.contract.rundir import RunDir
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.model.memgen_model import MemGenModel
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.context import Context
from memgen.stages.training import has_fused_adamw
from memgen.stages.trigger_grpo import Learner, trigger_parameters
from memgen.stop import StopRequest

QUESTIONS, COMPLETIONS, TOKENS, ROUNDS, LIMIT = 2, 4, 128, 3, 2.3
EVERY = 23  # looks at newest tokens from one delimiter to the next


def run(name: str) -> Ratio:
    """Seconds of a step; each completion goes to the length limit."""
    config = TriggerGrpoConfig(
        checkpoint="none",
        batch_size=QUESTIONS * COMPLETIONS,
        gradient_accumulation_steps=1,
        num_generations=COMPLETIONS,
        max_completion_length=TOKENS,
    )
    model = endless(name)
    trained = [one for group in model.train_part("trigger").values() for one in group]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, fused=has_fused_adamw(model.base.device))
    asked = questions(QUESTIONS)
    prompts = [prompt_ids(model.base, one) for one in asked]
    context = Context(RunDir(Path("nowhere")), None, Path("nowhere"), None, Monitor(None), StopRequest(), Team())
    initial = [one.detach().clone() for one in trigger_parameters(model)]
    learner = Learner(config, context, model, initial, asked, prompts)

    def step() -> None:
        delimit(model)
        if "entropy" not in learner.step(0):
            raise RuntimeError("no decision was asked for, so there was nothing to update")
        optimizer.step()
        optimizer.zero_grad()

    def rollout() -> None:
        delimit(model)
        learner.roll_out(0)

    return measure(seconds(step), seconds(rollout), ROUNDS, LIMIT)


def delimit(model: MemGenModel) -> None:
    """Let every n-th look at a row's newest token find a delimiter, whatever an untrained weaver brings about."""
    looks = count(1)
    model.is_delimiter = lambda token: next(looks) % EVERY == 0  # type: ignore[method-assign]  # noqa: ARG005
