"""How an evaluation asks and answers, beside what its config says of model and lengths.

A stage that answers questions says it as one function of the config, which its record names: an evaluation of many
questions and a question that somebody types go the same way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from memgen.data.prompt import Prompt
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Choose
from memgen.stages.causal_check import LatentsCheck
from memgen.stages.latent_search import LatentSearch
from memgen.stop import StopRequest


def _trigger_decides(_ids: list[str]) -> Choose | None:
    return None


def _no_search(_model: MemGenModel, _ids: list[str], _stop: StopRequest) -> LatentSearch | None:
    return None


def _no_check(_model: MemGenModel, _stop: StopRequest) -> LatentsCheck | None:
    return None


@dataclass(frozen=True)
class Recipe:
    """How questions are asked, and what happens at an insertion."""

    prompt: Prompt
    """How they are asked."""
    choose: Callable[[list[str]], Choose | None] = _trigger_decides
    """Makes what decides about insertions instead of the trigger, for the questions of these ids."""
    search: Callable[[MemGenModel, list[str], StopRequest], LatentSearch | None] = _no_search
    """Makes what improves the latents of the questions of these ids."""
    check: Callable[[MemGenModel, StopRequest], LatentsCheck | None] = _no_check
    """Makes what replaces the weaver's latents."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the environment is to say."""
