"""LTPO: latents of a question optimised at test time. Source: LTPO, arXiv 2510.04182.

The reward is the model's own confidence at the latent positions; nothing but the latents moves. Rows of a batch share
nothing: each has its own noise, its own best step and its own early stop, and Adam's state is per coordinate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from memgen.contract.errors import Diverged
from memgen.model.memgen_model import MemGenModel

EPSILON = 1e-10
LEAST_RMS = 1e-12  # of latents that are all zero


class Peekable(Protocol):
    """The reasoner's cache in front of an insertion."""

    def peek(self, positions: torch.Tensor) -> torch.Tensor:
        """Hidden states (B, K, D) of further positions (B, K, D) that are forgotten again."""


@dataclass(frozen=True)
class LtpoSettings:
    """How latents are moved."""

    lr: float = 0.03
    sigma: float = 0.1
    """Standard deviation of the exploration noise at the first step."""
    sigma_decay: float = 0.99
    """Factor on sigma after each step."""
    max_steps: int = 10
    top_k: int = 10
    """Tokens whose probability the reward looks at."""
    threshold: float | None = None
    """A row stops once a reward of it reaches this."""
    update: Literal["autograd", "reinforce", "noise"] = "autograd"
    """Adam ascent through the model, the paper's estimate H + lr * R * eps / sigma^2, or none."""
    positions: Literal["all", "last"] = "all"
    """Latents whose next-token distributions the reward is a mean of, or is of."""
    relative: bool = False
    """Whether lr and sigma are shares of the RMS of a row's starting latents."""


@dataclass(frozen=True)
class Scored:
    """What the model says about candidates, per row, (B,)."""

    reward: torch.Tensor
    entropy: torch.Tensor
    """Mean over the latents of the entropy of the next-token distribution, in nats. The reward alone is ambiguous: as a
    function of the entropy it is U-shaped."""
    top1: torch.Tensor
    """Mean over the latents of the likeliest token's probability."""


@dataclass(frozen=True)
class Optimised:
    """What the optimisation found."""

    latents: torch.Tensor
    """The best scored candidate of each row, (B, K, D)."""
    rewards: torch.Tensor
    """Of the start, then of each step's candidate, (1 + steps, B)."""
    best_step: torch.Tensor
    """Index into `rewards` of the best, (B,); 0 is the start."""
    num_steps: torch.Tensor
    """Steps of each row until it stopped, (B,)."""
    step_ulps: torch.Tensor
    """Mean size of a row's steps in units in the last place of the latents' number format, (B,); far below 1 the model
    sees few of them."""
    start: Scored
    best: Scored


def score_logits(logits: torch.Tensor, top_k: int) -> Scored:
    """Reward: mean over K positions of -(1/k) sum of log(p + 1e-10) of the k likeliest tokens.

    Args:
        logits: (B, K, V).
        top_k: k; all V where there are fewer.
    """
    logprobs = torch.log_softmax(logits, dim=-1)
    likeliest = logprobs.topk(min(top_k, logits.shape[-1]), dim=-1).values.exp()
    reward = -torch.log(likeliest + EPSILON).mean(-1).mean(-1)
    with torch.no_grad():
        entropy = -(logprobs.exp() * logprobs).sum(-1).mean(-1)
        return Scored(reward, entropy, likeliest[..., 0].detach().mean(-1))


def optimise(
    model: MemGenModel,
    prefix: Peekable,
    latents: torch.Tensor,
    settings: LtpoSettings,
    *,
    generators: Sequence[torch.Generator] | None = None,
    on_step: Callable[[torch.Tensor], None] = lambda _: None,
) -> Optimised:
    """Move latents towards confidence and keep the best candidate that was scored, the start included.

    Args:
        model: its weights stay as they are.
        prefix: the reasoner's cache in front of the latents, without gradient; left as it was.
        latents: where to start, (B, K, D).
        settings: step size, noise, steps.
        generators: of the noise, one per row, on the CPU; None draws from torch's own.
        on_step: gets the latents (B, K, D) after each step.

    Raises:
        Diverged: a reward is NaN or infinite.
    """

    def scored(candidate: torch.Tensor) -> Scored:
        hidden = prefix.peek(candidate.to(latents.dtype))
        return score_logits(model.logits(hidden if settings.positions == "all" else hidden[:, -1:]), settings.top_k)

    with torch.no_grad():
        start = best = scored(latents)
    _check(start.reward, 0)
    found = latents.detach().float().clone()
    unit = _unit(found, relative=settings.relative)
    moving = found / unit  # in float32: a step may be smaller than what bfloat16 tells apart
    spacing = spacing_of(found, latents.dtype)
    adam = torch.optim.Adam([moving], lr=settings.lr, maximize=True)
    ascending = settings.update == "autograd"
    rewards = [start.reward]
    best_step = torch.zeros(len(latents), dtype=torch.long, device=latents.device)
    num_steps = torch.zeros_like(best_step)
    ulps = torch.zeros(len(latents), device=latents.device)
    for step in range(settings.max_steps):
        active = _below(best.reward, settings.threshold)
        if not bool(active.any()):
            break
        sigma = settings.sigma * settings.sigma_decay**step
        noise, before = sigma * _noise(moving, generators), moving.clone()
        candidate = ((moving + noise) * unit).requires_grad_(ascending)
        with torch.set_grad_enabled(ascending):
            said = scored(candidate)
        reward = said.reward.detach()
        _check(reward, step + 1)
        if ascending:  # the candidate's gradient is that of the latents beneath the noise
            (gradient,) = torch.autograd.grad(said.reward, candidate, torch.ones_like(reward))
            moving.grad = gradient * unit
            adam.step()
        elif settings.update == "reinforce":
            moving = moving + settings.lr * reward[:, None, None] * noise / sigma**2
        better = active & (reward > best.reward)
        found[better], best_step[better] = candidate.detach()[better], step + 1
        best = Scored(
            *(torch.where(better, new.detach(), old) for new, old in zip(_each(said), _each(best), strict=True))
        )
        num_steps += active
        ulps += active * ((moving - before) * unit).abs().mean((1, 2)) / spacing
        rewards.append(reward)
        on_step(moving * unit)
    ulps /= num_steps.clamp(min=1)
    return Optimised(found.to(latents.dtype), torch.stack(rewards), best_step, num_steps, ulps, start, best)


def _unit(latents: torch.Tensor, *, relative: bool) -> torch.Tensor:
    """What a row's latents (B, K, D) are measured in, (B, 1, 1)."""
    if not relative:
        return torch.ones_like(latents[:, :1, :1])
    return latents.pow(2).mean((1, 2), keepdim=True).sqrt().clamp(min=LEAST_RMS)


def spacing_of(latents: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Mean distance, per row (B,), from a coordinate of latents (B, K, D) to the next number of a format."""
    _, exponent = torch.frexp(latents)
    return torch.ldexp(torch.full_like(latents, torch.finfo(dtype).eps), exponent - 1).mean((1, 2))


def _check(reward: torch.Tensor, step: int) -> None:
    if not bool(torch.isfinite(reward).all()):
        raise Diverged(
            f"the reward of an insertion's latents is no number at step {step} of LTPO",
            "Lower lr or max_steps, or raise sigma or sigma_decay." if step else "Look at the checkpoint's weaver.",
        )


def _below(reward: torch.Tensor, threshold: float | None) -> torch.Tensor:
    return torch.ones_like(reward, dtype=torch.bool) if threshold is None else reward < threshold


def _noise(latents: torch.Tensor, generators: Sequence[torch.Generator] | None) -> torch.Tensor:
    """Standard normal noise (B, K, D), drawn on the CPU: the same on every device and whatever stands beside a row."""
    if generators is None:
        return torch.randn(latents.shape).to(latents.device)
    drawn = [torch.randn(latents.shape[1:], generator=generator) for generator in generators]
    return torch.stack(drawn).to(latents.device)


def _each(scored: Scored) -> tuple[torch.Tensor, ...]:
    return scored.reward, scored.entropy, scored.top1
