"""Causal checks inside an evaluation: other latents in the place of the weaver's, and what was inserted is kept.

What stands in the place of an insertion depends on the seed, the question and the insertion's place alone, so an answer
is the same in every batch and after a resume. Whatever is inserted is also what the weaver reads of it later.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import cosine_similarity, normalize

from memgen.contract.answers import CheckedLatents, ReplacedLatents
from memgen.contract.causal_check import MOST_REFERENCES, check_words, no_reference_questions, takes_from_training
from memgen.contract.errors import BadInput
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.data.draw import draw
from memgen.data.prompt import Prompt, answer_text
from memgen.data.questions import Question
from memgen.model.memgen_model import MemGenModel, Row
from memgen.stop import StopRequest


def draw_references(
    config: EvaluateConfig, questions: Sequence[Question], training: Sequence[Question]
) -> list[Question]:
    """The training questions whose latents a run inserts; none where its check takes none.

    Raises:
        BadInput: `no_reference_questions`, if every training question is evaluated.
    """
    if not takes_from_training(config.causal_check):
        return []
    drawn = draw(training, questions, seed=config.seed, purpose="latents")[:MOST_REFERENCES]
    if not drawn:
        raise no_reference_questions(config.causal_check)
    return drawn


@dataclass(frozen=True)
class _Reference:
    """What a weaver makes of a training question and its solution, the solution given."""

    id: str
    prompt: list[torch.Tensor]
    """Latents (K, D) at the end of the prompt; none where the limits allow none there."""
    answer: list[torch.Tensor]
    """Latents (K, D) at the points of the solution, as far as it is read; at its end, where it has no delimiter."""


class LatentsCheck:
    """Replaces the latents of an evaluation's questions.

    Args:
        config: of the run, with a causal check.
        model: in eval mode.
        references: training questions to take latents from.
        prompt: how they are asked.
        stop: asked while the latents of all references are read.

    Raises:
        BadInput: `no_reference_questions`, if no prompt is as short as the config allows.
        Stopped: a stop was asked for.
    """

    def __init__(
        self,
        config: EvaluateConfig,
        model: MemGenModel,
        references: Sequence[Question],
        prompt: Prompt,
        stop: StopRequest,
    ) -> None:
        self._config = config
        self._model = model
        self._rows = _in_tokens(config, model, references, prompt)
        self._read: dict[int, _Reference] = {}
        self._insertions: defaultdict[str, list[ReplacedLatents]] = defaultdict(list)
        self._means = self._mean_latents(stop) if config.causal_check == "mean" else {}

    def insert(self, question: str, latents: torch.Tensor, token: int) -> torch.Tensor:
        """What is inserted for latents (K, D) in the answer to a question, in front of a token of it; remembered."""
        before = sum(one.token > 0 for one in self._insertions[question])
        used = self.instead(question, latents, token, before)
        self._insertions[question].append(
            ReplacedLatents(
                token=token,
                norm=_mean(latents.float().norm(dim=-1)),
                used_norm=_mean(used.float().norm(dim=-1)),
                cosine=_mean(cosine_similarity(latents.float(), used.float(), dim=-1)),
            )
        )
        return used

    def record(self, question: str) -> CheckedLatents:
        """What was inserted in the answer to a question, told once."""
        donor = self._donor(question) if self._config.causal_check == "other_question" else None
        return CheckedLatents(
            check=check_words(self._config.causal_check, self._config.latents_factor),
            taken_from=donor.id if donor else None,
            insertions=self._insertions.pop(question, []),
        )

    def forget(self, question: str) -> None:
        """Nothing was inserted in the answer to a question yet: it begins again."""
        self._insertions.pop(question, None)

    def instead(self, question: str, latents: torch.Tensor, token: int, before: int) -> torch.Tensor:
        """What stands for latents (K, D).

        Args:
            question: its id.
            latents: the weaver's.
            token: index of the answer's token that follows; 0 is the end of the prompt.
            before: insertions inside the answer so far.
        """
        return self._used(question, latents.float(), token, before).to(latents.dtype)

    def _used(self, question: str, latents: torch.Tensor, token: int, before: int) -> torch.Tensor:
        """(K, D) in float32, of latents in float32."""
        match self._config.causal_check:
            case "scaled":
                assert self._config.latents_factor is not None
                return latents * self._config.latents_factor
            case "noise":
                return self._noise(question, latents, token)
            case "mean":
                return self._means[token == 0]
            case "other_question":
                donor = self._donor(question)
                # its solution may have fewer points than the answer
                return donor.prompt[0] if token == 0 else donor.answer[before % len(donor.answer)]
        raise AssertionError(f"{self._config.causal_check} inserts nothing")

    def _noise(self, question: str, latents: torch.Tensor, token: int) -> torch.Tensor:
        """A direction at random for each latent, of its length."""
        generator = torch.Generator().manual_seed(_hash(self._config.seed, "noise", question, token))
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        lengths: torch.Tensor = latents.norm(dim=-1, keepdim=True)
        return normalize(noise, dim=-1) * lengths

    def _donor(self, question: str) -> _Reference:
        """The training question that stands in for a question."""
        return self._reference(_hash(self._config.seed, "donor", question) % len(self._rows))

    def _mean_latents(self, stop: StopRequest) -> dict[bool, torch.Tensor]:
        """Means (K, D) over all references, of those at the end of the prompt and of the others."""
        for place in range(len(self._rows)):
            stop.check()
            self._reference(place)
        kinds = {
            True: [latents for one in self._read.values() for latents in one.prompt],
            False: [latents for one in self._read.values() for latents in one.answer],
        }
        return {at_prompt: torch.stack(latents).mean(0) for at_prompt, latents in kinds.items() if latents}

    def _reference(self, place: int) -> _Reference:
        """One reference, read by itself: what its latents are depends on nothing else."""
        if place not in self._read:
            question, prompt, answer = self._rows[place]
            ids, limits = prompt + answer, self._model.settings
            points = self._model.augmentation_points(ids, len(prompt))
            at_prompt = limits.max_prompt_aug_num
            if len(points) == at_prompt and limits.max_inference_aug_num:
                end = self._model.base.eos_id
                points.append(len(prompt) + (answer.index(end) if end in answer else len(answer) - 1))
            row = Row(torch.tensor(ids, device=self._model.base.device), points)
            with torch.inference_mode():
                latents = [own.float() for own in self._model.latents_of([row])[0]]
            self._read[place] = _Reference(question.id, latents[:at_prompt], latents[at_prompt:])
        return self._read[place]


def _in_tokens(
    config: EvaluateConfig, model: MemGenModel, references: Sequence[Question], prompt: Prompt
) -> list[tuple[Question, list[int], list[int]]]:
    """References with the token ids of prompt and answer, without those whose prompt is longer than a run's.

    An answer is read as far as one of the run may go: no latents before that depend on what comes after it.
    """
    encode = model.base.tokenizer.encode
    rows = []
    for one in references:
        asked = encode(prompt.text(one.question), add_special_tokens=False)
        answer = encode(answer_text(one.solution), add_special_tokens=False)
        if len(asked) <= config.max_prompt_length:
            rows.append((one, asked, answer[: max(2, config.max_completion_length)]))  # latents stand after the first
    if references and not rows:
        raise BadInput(
            "no_reference_questions",
            "the prompt of each training question that latents could be taken from is longer than the config allows",
            field="max_prompt_length",
            value=config.max_prompt_length,
            way_out="Raise max_prompt_length, or choose another check.",
        )
    return rows


def _hash(*what: object) -> int:
    return int.from_bytes(hashlib.sha256(":".join(map(str, what)).encode()).digest()[:7], "big")


def _mean(values: torch.Tensor) -> float:
    return round(float(values.mean()), 5)
