"""A step of weaver GRPO, rollout and update, against the rollout alone."""

from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.generate import endless
from benchmarks.ratio import Ratio, measure, seconds
from benchmarks.setup import prompt_ids, questions
from benchmarks.trigger_step import delimit
from memgen.contract.rundir import RunDir
from memgen.contract.stages.weaver_grpo import WeaverGrpoConfig
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.context import Context
from memgen.stages.grpo import copies
from memgen.stages.rollout import Rollout
from memgen.stages.training import has_fused_adamw
from memgen.stages.weaver_grpo import Learner, weaver_parameters
from memgen.stop import StopRequest

QUESTIONS, COMPLETIONS, TOKENS, ROUNDS, LIMIT = 2, 4, 128, 3, 2.5


class _Rewarded(Learner):
    """Each second completion is right, whatever the model says."""

    def roll_out(self, number: int) -> Rollout:
        """The completions of a step, all of which teach something."""
        rollout = super().roll_out(number)
        return replace(rollout, advantages=[place % 2 - 0.5 for place in range(len(rollout.completions))])


def run(name: str) -> Ratio:
    """Seconds of a step from all of whose completions something is learned; each goes to the length limit."""
    config = WeaverGrpoConfig(
        batch_size=QUESTIONS * COMPLETIONS, num_generations=COMPLETIONS, max_completion_length=TOKENS
    )
    model = endless(name)
    trained = [one for group in model.train_part("weaver").values() for one in group]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, fused=has_fused_adamw(model.base.device))
    asked = questions(QUESTIONS)
    prompts = [prompt_ids(model.base, one) for one in asked]
    context = Context(RunDir(Path("nowhere")), None, Path("nowhere"), None, Monitor(None), StopRequest(), Team())
    learner = _Rewarded(config, context, model, copies(weaver_parameters(model)), asked, prompts, trigger=False)

    def step() -> None:
        delimit(model)
        learner.step(0)
        if all(one.grad is None for one in trained):
            raise RuntimeError("nothing was learned from")
        optimizer.step()
        optimizer.zero_grad()

    def rollout() -> None:
        delimit(model)
        learner.roll_out(0)

    return measure(seconds(step), seconds(rollout), ROUNDS, LIMIT)
