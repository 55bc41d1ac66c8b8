"""How likely each question's own solution is: the measure that has power where accuracy is at its floor or ceiling.

The solution is read as in training (teacher forcing): its tokens, `<|im_end|>` and the newline after it are predicted,
and latents stand at the points of the solution as in training, or where trigger or chance want them there. No token is
generated, so the number does not depend on how answers are generated, only on prompt and weights.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from memgen.contract.errors import Diverged
from memgen.contract.planner.gold import MOST_LABELS
from memgen.data.prompt import answer_text
from memgen.data.questions import Question
from memgen.model.base import BaseModel
from memgen.model.label_logprobs import label_logprobs
from memgen.model.memgen_model import MemGenModel, Row
from memgen.model.woven_generation import Choose
from memgen.stages.width import Width

NLL = "nll"
"""Name of the metric: nats per token of the solution."""
Logprobs = Callable[[Sequence[int], Sequence[torch.Tensor], Sequence[int]], list[torch.Tensor]]
"""From places of questions, token ids (T,) of their prompts with solutions, and lengths of the prompts to
log-probabilities of each solution's tokens."""

Instead = Callable[[torch.Tensor, int, int, int], torch.Tensor]
"""From latents (K, D), the place of the question, the token of its solution that follows and the number of insertions
inside the solution before to the latents (K, D) to use."""


class GoldAnswers:
    """Negative log-likelihoods of the solutions of an evaluation, each measured once.

    Args:
        width: of the run.
        base: whose tokenizer and device count.
        questions: of the run.
        prompts: their prompts' token ids.
        logprobs: reads the rows.
    """

    def __init__(
        self,
        width: Width,
        base: BaseModel,
        questions: Sequence[Question],
        prompts: Sequence[Sequence[int]],
        logprobs: Logprobs,
    ) -> None:
        self._width = width
        self._base = base
        self._questions = questions
        self._prompts = prompts
        self._logprobs = logprobs
        self._nll: dict[int, float] = {}

    def measure(self, places: Iterable[int]) -> None:
        """Measure the solutions of these questions, but for those that have been.

        Raises:
            Diverged: a likelihood is no number.
        """
        missing = [place for place in places if place not in self._nll]
        tokenizer, device = self._base.tokenizer, self._base.device
        answers = {
            place: tokenizer.encode(answer_text(self._questions[place].solution), add_special_tokens=False)
            for place in missing
        }
        for batch in batches([(place, len(answers[place])) for place in missing], self._width.rows):
            rows = [torch.tensor([*self._prompts[place], *answers[place]], device=device) for place in batch]
            with torch.inference_mode():
                found = self._logprobs(batch, rows, [len(self._prompts[place]) for place in batch])
            for place, logprobs in zip(batch, found, strict=True):
                nll = -float(logprobs.mean())
                if not math.isfinite(nll):
                    raise Diverged(
                        f"the likelihood of the solution of {self._questions[place].id} is no number",
                        "Choose another number format, or another checkpoint.",
                    )
                self._nll[place] = nll

    def measure_ahead(self, places: Sequence[int], start: int) -> None:
        """Measure the next batch of these questions from the one at `start` on, unless that one has been."""
        if places[start] not in self._nll:
            self.measure(places[start : start + self._width.rows])

    def metrics(self, place: int) -> dict[str, float]:
        """The metric of a question that was measured."""
        return {NLL: self._nll.pop(place)}


def batches(rows: Sequence[tuple[int, int]], most_rows: int) -> Iterator[list[int]]:
    """Places in batches of at most `most_rows` rows and, where a batch has several, `MOST_LABELS` labels.

    Args:
        rows: place and number of labels of each row.
        most_rows: of a batch.
    """
    batch: list[int] = []
    labels = 0
    for place, count in rows:
        if batch and (len(batch) == most_rows or labels + count > MOST_LABELS):
            yield batch
            batch, labels = [], 0
        batch.append(place)
        labels += count
    if batch:
        yield batch


def plain(base: BaseModel) -> Logprobs:
    """The plain model's: one pass over rows that are padded at their ends."""

    def logprobs(_: Sequence[int], rows: Sequence[torch.Tensor], prompts: Sequence[int]) -> list[torch.Tensor]:
        length = max(len(row) for row in rows)
        ids = torch.full((len(rows), length), base.pad_id, device=base.device)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        hidden = base.model.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        wanted = [
            own[prompt - 1 : len(row) - 1] for own, row, prompt in zip(hidden, rows, prompts, strict=True)
        ]  # a token predicts the next one
        labels = torch.cat([row[prompt:] for row, prompt in zip(rows, prompts, strict=True)])
        said = label_logprobs(base.logits, torch.cat(wanted), labels)
        return list(torch.split(said, [len(own) for own in wanted]))

    return logprobs


def with_latents(
    model: MemGenModel, *, trigger: bool, choose: Choose | None, instead: Instead | None = None
) -> Logprobs:
    """A model's with latents at every point of the solution that the limits allow, or that is wanted.

    Args:
        model: in eval mode.
        trigger: whether the trigger decides about the points.
        choose: decides in its place, by the place of the question and the token of the solution that follows.
        instead: what stands in the place of the weaver's latents.
    """

    def logprobs(places: Sequence[int], rows: Sequence[torch.Tensor], prompts: Sequence[int]) -> list[torch.Tensor]:
        wants: list[Callable[[int], bool]] = [lambda _: True for _ in rows]
        if trigger:
            wants = _decided(model, rows, prompts)
        elif choose is not None:
            wants = [_chosen(choose, place, prompt) for place, prompt in zip(places, prompts, strict=True)]
        woven = [_row(model, row, prompt, want) for row, prompt, want in zip(rows, prompts, wants, strict=True)]
        return model.token_logprobs(woven, instead=_replacing(instead, places, woven) if instead else None)

    return logprobs


def _replacing(instead: Instead, places: Sequence[int], rows: Sequence[Row]) -> Callable[..., torch.Tensor]:
    def replace(latents: torch.Tensor, number: int, point: int) -> torch.Tensor:
        prompt = rows[number].first_label
        return instead(
            latents, places[number], point - prompt, sum(prompt < one < point for one in rows[number].points)
        )

    return replace


def _chosen(choose: Choose, place: int, prompt: int) -> Callable[[int], bool]:
    return lambda point: choose(place, point - prompt)


def _row(model: MemGenModel, ids: torch.Tensor, prompt: int, wants: Callable[[int], bool]) -> Row:
    """A row with latents at its wanted points; what is declined does not count in the limit, as in generation."""
    points = model.augmentation_points(ids.tolist(), prompt, wants)
    at_prompt = bool(points) and points[0] == prompt
    if at_prompt and not wants(prompt):
        points, at_prompt = points[1:], False
    return Row(ids, points, prompt, at_prompt)


def _decided(model: MemGenModel, rows: Sequence[torch.Tensor], prompts: Sequence[int]) -> list[Callable[[int], bool]]:
    """What the trigger wants at every point of each row, whatever the limit; it sees tokens alone."""
    asked = [_points(model, ids, prompt) for ids, prompt in zip(rows, prompts, strict=True)]
    some = [number for number, points in enumerate(asked) if points]
    found: list[set[int]] = [set() for _ in rows]
    if some:
        decisions = model.decision_logprobs([Row(rows[number], asked[number]) for number in some])
        for number, said in zip(some, decisions, strict=True):
            inserts = said.argmax(-1).tolist()
            found[number] = {point for point, insert in zip(asked[number], inserts, strict=True) if insert}
    return [wanted.__contains__ for wanted in found]


def _points(model: MemGenModel, ids: torch.Tensor, prompt: int) -> list[int]:
    """Every point of a row at which the trigger may be asked: one that declines always is asked at all of them."""
    inside: list[int] = []

    def decline(point: int) -> bool:
        inside.append(point)
        return False

    return model.augmentation_points(ids.tolist(), prompt, decline) + inside
