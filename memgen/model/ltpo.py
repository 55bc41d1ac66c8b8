"""LTPO: latents of a question optimised at test time. Source: LTPO, arXiv 2510.04182.

The reward is the model's own confidence at the latent positions; nothing but the latents moves. Rows of a batch share
nothing: the reward of one does not depend on another, and Adam's state is per coordinate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from memgen.model.memgen_model import MemGenModel
from memgen.model.stream import Stream

EPSILON = 1e-10


@dataclass(frozen=True)
class LtpoSettings:
    """How latents are moved (update `autograd`: Adam ascent through the model)."""

    lr: float = 0.03
    sigma: float = 0.1
    """Standard deviation of the exploration noise at the first step."""
    sigma_decay: float = 0.99
    """Factor on sigma after each step."""
    max_steps: int = 10
    top_k: int = 10
    """Tokens whose probability the reward looks at."""


@dataclass(frozen=True)
class Optimised:
    """What the optimisation found."""

    latents: torch.Tensor
    """The best scored candidate of each row, (B, K, D)."""
    rewards: torch.Tensor
    """Of the start, then of each step's candidate, (1 + steps, B)."""
    best_step: torch.Tensor
    """Index into `rewards` of the best, (B,); 0 is the start."""


def confidence(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """Reward of each row: mean over K positions of -(1/k) sum of log(p + 1e-10) of the k likeliest tokens.

    Args:
        logits: (B, K, V).
        top_k: k.

    Returns:
        (B,).
    """
    likeliest = torch.softmax(logits, dim=-1).topk(top_k, dim=-1).values
    return -torch.log(likeliest + EPSILON).mean(-1).mean(-1)


def optimise(
    model: MemGenModel,
    prefix: Stream,
    latents: torch.Tensor,
    settings: LtpoSettings,
    *,
    generator: torch.Generator | None = None,
    on_step: Callable[[torch.Tensor], None] = lambda _: None,
) -> Optimised:
    """Move latents towards confidence and keep the best candidate that was scored, the start included.

    Args:
        model: its weights stay as they are.
        prefix: the reasoner's cache in front of the latents; left as it was.
        latents: where to start, (B, K, D).
        settings: step size, noise, steps.
        generator: of the noise.
        on_step: gets the latents (B, K, D) after each step.
    """

    def reward(candidate: torch.Tensor) -> torch.Tensor:
        return confidence(model.logits(prefix.peek(candidate)), settings.top_k)

    start = latents.detach()
    with torch.no_grad():
        rewards = [reward(start)]
    best, best_reward = start.clone(), rewards[0].clone()
    best_step = torch.zeros(len(start), dtype=torch.long, device=start.device)
    moving = start.clone().requires_grad_()
    adam = torch.optim.Adam([moving], lr=settings.lr, maximize=True)
    for step in range(settings.max_steps):
        noise = torch.randn(start.shape, generator=generator, device=start.device, dtype=start.dtype)
        candidate = moving + settings.sigma * settings.sigma_decay**step * noise
        scored = reward(candidate)
        (moving.grad,) = torch.autograd.grad(scored.sum(), moving)
        adam.step()
        scored, candidate = scored.detach(), candidate.detach()
        better = scored > best_reward
        best[better], best_reward[better], best_step[better] = candidate[better], scored[better], step + 1
        rewards.append(scored)
        on_step(moving.detach().clone())
    return Optimised(best, torch.stack(rewards), best_step)
