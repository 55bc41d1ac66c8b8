"""Generation with latents: three caches that only grow, finished rows leave the batch.

Behind the prompt, and behind each token that ends in a delimiter, latents are inserted; with an active trigger only
where it says so. An insertion costs K positions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from memgen.model.memgen_model import MemGenModel
from memgen.model.stream import Stream

Improve = Callable[[Stream, torch.Tensor, list[int], int], torch.Tensor]
"""From the reasoner's cache in front of an insertion, latents (n, K, D), the rows' numbers and the completion token
that follows, to the latents (n, K, D) to use."""


@dataclass(frozen=True)
class Sampling:
    """How a rollout draws."""

    temperature: float
    tokens: bool
    """Whether tokens are drawn, too; decisions always are."""
    generator: torch.Generator
    """On the CPU."""

    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """One choice (B,) per row from logits or log-probabilities (B, n) at the temperature."""
        probabilities = torch.softmax(logits.float().cpu(), dim=-1)
        return torch.multinomial(probabilities, 1, generator=self.generator)[:, 0].to(logits.device)


@dataclass
class Decision:
    """One decision point."""

    token: int
    """Latents stand before this token of the completion."""
    asked: bool
    inserted: bool
    logprob: float
    """Of the decision; 0 where the trigger was not asked."""


@dataclass
class Completion:
    """What one row became."""

    ids: list[int] = field(default_factory=list)
    """Completion tokens, `<|im_end|>` included if it came."""
    decisions: list[Decision] = field(default_factory=list)
    ended: bool = False
    """Whether `<|im_end|>` came before the length limit."""

    @property
    def text_ids(self) -> list[int]:
        """Completion tokens without `<|im_end|>`."""
        return self.ids[:-1] if self.ended else self.ids


class _Rows:
    """Rows that are not finished, with what weaver and trigger have not read yet."""

    def __init__(self, model: MemGenModel, prompts: Sequence[torch.Tensor]) -> None:
        self.numbers = list(range(len(prompts)))
        self.inserted = [0] * len(prompts)
        self.unwoven = [model.embed(prompt) for prompt in prompts]
        self.unread = list(self.unwoven)

    def keep(self, places: list[int]) -> None:
        self.numbers = [self.numbers[place] for place in places]
        self.inserted = [self.inserted[place] for place in places]
        self.unwoven = [self.unwoven[place] for place in places]
        self.unread = [self.unread[place] for place in places]


def generate_woven(
    model: MemGenModel,
    prompts: Sequence[torch.Tensor],
    max_new_tokens: int,
    *,
    trigger: bool,
    sampling: Sampling | None = None,
    improve: Improve | None = None,
    on_row: Callable[[int, Completion], None] = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_token: Callable[[int], None] = lambda _: None,
) -> list[Completion]:
    """Continue prompts with latents, up to `<|im_end|>` or `max_new_tokens`.

    Args:
        model: in eval mode.
        prompts: per row the token ids, (P_i,).
        max_new_tokens: most tokens of a completion.
        trigger: whether the trigger decides; else latents are always inserted.
        sampling: how decisions and perhaps tokens are drawn; None is greedy in both.
        improve: changes the latents of an insertion before they are used (LTPO).
        on_row: called once per row as it ends.
        should_stop: asked after each token; True ends the call and rows that are not done stay untold.
        on_token: called after each token with the number of new tokens so far.
    """
    # what inference mode makes can't take part in LTPO's backward pass
    with torch.no_grad() if improve else torch.inference_mode():
        return _Generation(model, prompts, trigger, sampling, improve, on_row).run(
            max_new_tokens, should_stop, on_token
        )


class _Generation:
    def __init__(
        self,
        model: MemGenModel,
        prompts: Sequence[torch.Tensor],
        trigger: bool,
        sampling: Sampling | None,
        improve: Improve | None,
        on_row: Callable[[int, Completion], None],
    ) -> None:
        self._model = model
        self._trigger = trigger
        self._sampling = sampling
        self._improve = improve
        self._on_row = on_row
        self._out = [Completion() for _ in prompts]
        self._rows = _Rows(model, prompts)
        self._reasoner, self._weaver, self._reader = (model.stream(len(prompts)) for _ in range(3))

    def run(
        self, max_new_tokens: int, should_stop: Callable[[], bool], on_token: Callable[[int], None]
    ) -> list[Completion]:
        model, rows = self._model, self._rows
        at_points = [bool(model.settings.max_prompt_aug_num)] * len(rows.numbers)
        fresh = list(rows.unwoven)  # what the reasoner has not read, per row
        for step in range(max_new_tokens):
            hidden = self._read(fresh, self._decide(at_points, step), step)  # (B, D)
            tokens = self._choose(model.logits(hidden))
            going_on = self._take(tokens.tolist(), step + 1 == max_new_tokens)
            on_token(step + 1)
            if not going_on or should_stop():
                break
            if len(going_on) < len(rows.numbers):
                rows.keep(going_on)
                index = torch.tensor(going_on, device=tokens.device)
                tokens = tokens[index]
                for stream in (self._reasoner, self._weaver, self._reader):
                    stream.keep_rows(index)
            fresh = [model.embed(token[None]) for token in tokens]
            rows.unwoven = [torch.cat([old, new]) for old, new in zip(rows.unwoven, fresh, strict=True)]
            rows.unread = [torch.cat([old, new]) for old, new in zip(rows.unread, fresh, strict=True)]
            at_points = [
                model.is_delimiter(int(token)) and done < model.settings.max_inference_aug_num
                for token, done in zip(tokens.tolist(), rows.inserted, strict=True)
            ]
        return self._out

    def _decide(self, at_points: list[bool], step: int) -> list[bool]:
        """Which rows insert latents now; written into their completions."""
        rows = self._rows
        inserting = list(at_points)
        logprobs = [0.0] * len(at_points)
        if self._trigger and any(at_points):
            chunks = [new if asked else new[:0] for new, asked in zip(rows.unread, at_points, strict=True)]
            said = self._model.decide(self._reader, chunks)
            if self._sampling is not None:
                said = torch.log_softmax(said / self._sampling.temperature, dim=-1)
            chosen = said.argmax(-1) if self._sampling is None else self._sampling.draw(said)
            for place, asked in enumerate(at_points):
                if asked:
                    inserting[place] = bool(chosen[place])
                    logprobs[place] = float(said[place, chosen[place]])
                    rows.unread[place] = rows.unread[place][:0]
        for place, number in enumerate(rows.numbers):
            if at_points[place]:
                decision = Decision(step, self._trigger, inserting[place], logprobs[place])
                self._out[number].decisions.append(decision)
        return inserting

    def _read(self, fresh: list[torch.Tensor], inserting: list[bool], step: int) -> torch.Tensor:
        """Let the reasoner read what is new, latents behind it; returns each row's newest hidden state (B, D)."""
        if not any(inserting):
            return self._reasoner.read(fresh)[:, -1]
        rows = self._rows
        chunks = [new if wanted else new[:0] for new, wanted in zip(rows.unwoven, inserting, strict=True)]
        latents = self._model.weave(self._weaver, chunks, prompt=step == 0)
        places = [place for place, wanted in enumerate(inserting) if wanted]
        hidden = None
        if self._improve is not None:  # needs the reasoner's cache up to here
            hidden = self._reasoner.read(fresh)[:, -1]
            index = torch.tensor(places, device=latents.device)
            numbers = [rows.numbers[place] for place in places]
            latents[index] = self._improve(self._reasoner.copy_rows(index), latents[index], numbers, step)
            fresh = [new[:0] for new in fresh]
        chunks = list(fresh)
        for place in places:
            chunks[place] = torch.cat([fresh[place], latents[place]])
            rows.unwoven[place] = latents[place]
            rows.inserted[place] += step > 0
        newest = self._reasoner.read(chunks)[:, -1]
        if hidden is None:
            return newest
        return torch.where(torch.tensor(inserting, device=newest.device)[:, None], newest, hidden)

    def _choose(self, logits: torch.Tensor) -> torch.Tensor:
        """Next tokens (B,) from logits (B, V)."""
        if self._sampling is None or not self._sampling.tokens:
            return logits.argmax(-1)
        return self._sampling.draw(logits / self._sampling.temperature)

    def _take(self, tokens: list[int], last: bool) -> list[int]:
        """Append a token to each row; returns the places of the rows that go on."""
        going_on = []
        for place, (number, token) in enumerate(zip(self._rows.numbers, tokens, strict=True)):
            completion = self._out[number]
            completion.ids.append(token)
            completion.ended = token == self._model.base.eos_id
            if completion.ended or last:
                self._on_row(number, completion)
            else:
                going_on.append(place)
        return going_on
