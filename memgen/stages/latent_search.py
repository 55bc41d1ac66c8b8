"""LTPO inside an evaluation: each insertion's latents are optimised, and what happened is kept for the answer file."""

import hashlib

import torch

from memgen.contract.answers import LtpoTrace
from memgen.contract.stages.ltpo_evaluate import LtpoEvaluateConfig
from memgen.model.ltpo import LtpoSettings, Optimised, Peekable, optimise
from memgen.model.memgen_model import MemGenModel
from memgen.stop import StopRequest


class LatentSearch:
    """Improves the latents of an evaluation's questions.

    The noise of an insertion depends on the seed, the question and the insertion's place alone, so that an answer is
    the same in every batch and after a resume.

    Args:
        config: of the run.
        model: in eval mode.
        question_ids: per prompt.
        stop: asked at each step.
    """

    def __init__(
        self, config: LtpoEvaluateConfig, model: MemGenModel, question_ids: list[str], stop: StopRequest
    ) -> None:
        self._seed = config.seed
        self._model = model
        self._question_ids = question_ids
        self._stop = stop
        self._settings = LtpoSettings(**{name: getattr(config, name) for name in LtpoSettings.__dataclass_fields__})
        self.traces: list[list[LtpoTrace]] = [[] for _ in question_ids]

    def __call__(self, prefix: Peekable, latents: torch.Tensor, numbers: list[int], tokens: list[int]) -> torch.Tensor:
        """Better latents (n, K, D) for the prompts `numbers`, each in front of a completion token.

        Raises:
            Stopped: a stop was asked for.
        """
        found = optimise(
            self._model,
            prefix,
            latents,
            self._settings,
            generators=[self._generator(number, token) for number, token in zip(numbers, tokens, strict=True)],
            on_step=lambda _: self._stop.check(),
        )
        distances = (found.latents - latents).float().norm(dim=-1).mean(-1)
        for place, (number, token) in enumerate(zip(numbers, tokens, strict=True)):
            self.traces[number].append(_trace(found, place, token, float(distances[place])))
        return found.latents

    def _generator(self, number: int, token: int) -> torch.Generator:
        text = f"{self._seed}:{self._question_ids[number]}:{token}"
        digest = hashlib.sha256(text.encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _trace(found: Optimised, place: int, token: int, distance: float) -> LtpoTrace:
    scored = 1 + int(found.num_steps[place])
    return LtpoTrace(
        token=token,
        rewards=[round(float(reward), 5) for reward in found.rewards[:scored, place]],
        best_step=int(found.best_step[place]),
        distance=round(distance, 5),
        step_ulps=round(float(found.step_ulps[place]), 5),
        entropy=[round(float(found.start.entropy[place]), 5), round(float(found.best.entropy[place]), 5)],
        top1=[round(float(found.start.top1[place]), 5), round(float(found.best.top1[place]), 5)],
    )
