"""Generation with latents: three caches that only grow, finished rows leave and waiting prompts take their places.

Behind the prompt, and behind each token that ends in a delimiter, latents are inserted; with an active trigger only
where it says so. An insertion costs K positions of the row that gets it, and nothing of the others.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from memgen.model.ltpo import Peekable
from memgen.model.memgen_model import MemGenModel

Improve = Callable[[Peekable, torch.Tensor, list[int], list[int]], torch.Tensor]
"""From the reasoner's cache in front of insertions, latents (n, K, D), the prompts' numbers and the completion tokens
that follow, to the latents (n, K, D) to use."""
Choose = Callable[[int, int], bool]
"""From a prompt's number and the completion token that follows to whether latents are inserted."""


@dataclass(frozen=True)
class Sampling:
    """How a rollout draws."""

    temperature: float
    tokens: bool
    """Whether tokens are drawn, too; decisions always are."""
    generators: Sequence[torch.Generator]
    """One per prompt, on the CPU: what is drawn for a completion does not depend on what is generated beside it."""

    def draw(self, logits: torch.Tensor, numbers: Sequence[int]) -> torch.Tensor:
        """One choice (B,) per row, for these prompts, from logits or log-probabilities (B, n) at the temperature."""
        probabilities = torch.softmax(logits.float().cpu(), dim=-1)
        drawn = [
            torch.multinomial(own, 1, generator=self.generators[number])
            for own, number in zip(probabilities, numbers, strict=True)
        ]
        return torch.cat(drawn).to(logits.device)


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


@dataclass
class _Row:
    """A completion under way, with the embeddings (n, D) that each role has not read yet."""

    number: int
    completion: Completion
    reasoner: list[torch.Tensor]
    weaver: list[torch.Tensor]
    trigger: list[torch.Tensor]
    inserted: int = 0


def generate_woven(
    model: MemGenModel,
    prompts: Sequence[torch.Tensor],
    max_new_tokens: int | Sequence[int],
    *,
    trigger: bool,
    width: int | None = None,
    sampling: Sampling | None = None,
    improve: Improve | None = None,
    choose: Choose | None = None,
    on_start: Callable[[int], None] = lambda _: None,
    on_row: Callable[[int, Completion], None] = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_token: Callable[[int], None] = lambda _: None,
) -> list[Completion]:
    """Continue prompts with latents, up to `<|im_end|>` or `max_new_tokens`.

    Args:
        model: in eval mode.
        prompts: per row the token ids, (P_i,), at least one.
        max_new_tokens: most tokens of a completion, or of each prompt's.
        trigger: whether the trigger decides; else latents are always inserted.
        width: most completions under way at a time, the others wait; None takes all at once.
        sampling: how decisions and perhaps tokens are drawn; None is greedy in both.
        improve: changes the latents of insertions before they are used (LTPO).
        choose: decides in the trigger's place.
        on_start: called once per prompt as its completion begins.
        on_row: called once per prompt as its completion ends.
        should_stop: asked after each step; True ends the call and what is not done stays untold.
        on_token: called after each step, in which every completion under way gets a token, with the steps so far.

    Returns:
        A completion per prompt, in the prompts' order.
    """
    # what inference mode makes can't take part in LTPO's backward pass
    with torch.no_grad() if improve else torch.inference_mode():
        told = (on_start, on_row)
        limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
        return _Generation(model, prompts, limits, trigger, width or len(prompts), sampling, improve, choose, told).run(
            should_stop, on_token
        )


class _Generation:
    def __init__(
        self,
        model: MemGenModel,
        prompts: Sequence[torch.Tensor],
        limits: Sequence[int],
        trigger: bool,
        width: int,
        sampling: Sampling | None,
        improve: Improve | None,
        choose: Choose | None,
        told: tuple[Callable[[int], None], Callable[[int, Completion], None]],
    ) -> None:
        self._model = model
        self._prompts = prompts
        self._limits = limits
        self._trigger = trigger
        self._width = min(width, len(prompts))
        self._sampling = sampling
        self._improve = improve
        self._choose_points = choose
        self._on_start, self._on_row = told
        self._out = [Completion() for _ in prompts]
        self._waiting = deque(range(len(prompts)))
        self._rows: list[_Row] = []  # the n-th reads and writes row n of each cache
        self._streams = self._reasoner, self._weaver, self._reader = [model.row_stream(self._width) for _ in range(3)]

    def run(self, should_stop: Callable[[], bool], on_token: Callable[[int], None]) -> list[Completion]:
        steps = 0
        while True:
            self._admit()
            if not self._rows:
                return self._out
            hidden = self._read(self._decide())  # (B, D)
            self._take(self._choose(self._model.logits(hidden)))
            steps += 1
            on_token(steps)
            if should_stop():
                return self._out

    def _admit(self) -> None:
        """Let waiting prompts take free places."""
        while self._waiting and len(self._rows) < self._width:
            number = self._waiting.popleft()
            prompt = self._model.embed(self._prompts[number])
            self._rows.append(_Row(number, self._out[number], [prompt], [prompt], [prompt]))
            self._on_start(number)

    def _is_point(self, row: _Row) -> bool:
        """Whether latents may be inserted behind what the row has so far."""
        settings, ids = self._model.settings, row.completion.ids
        if not ids:
            return settings.max_prompt_aug_num > 0
        return row.inserted < settings.max_inference_aug_num and self._model.is_delimiter(ids[-1])

    def _decide(self) -> list[int]:
        """Places of the rows that insert latents now; each decision is written into its completion."""
        points = [place for place, row in enumerate(self._rows) if self._is_point(row)]
        inserting, logprobs = [True] * len(points), [0.0] * len(points)
        if self._choose_points is not None:
            rows = [self._rows[place] for place in points]
            inserting = [self._choose_points(row.number, len(row.completion.ids)) for row in rows]
        if self._trigger and points:
            chunks = [torch.cat(self._rows[place].trigger) for place in points]
            said = self._model.decide(self._reader, points, chunks)
            if self._sampling is not None:
                said = torch.log_softmax(said / self._sampling.temperature, dim=-1)
            numbers = [self._rows[place].number for place in points]
            chosen = said.argmax(-1) if self._sampling is None else self._sampling.draw(said, numbers)
            inserting = [bool(choice) for choice in chosen.tolist()]
            logprobs = said.gather(1, chosen[:, None])[:, 0].tolist()
        for place, inserts, logprob in zip(points, inserting, logprobs, strict=True):
            row = self._rows[place]
            row.trigger.clear()
            row.completion.decisions.append(Decision(len(row.completion.ids), self._trigger, inserts, logprob))
        return [place for place, inserts in zip(points, inserting, strict=True) if inserts]

    def _read(self, inserting: list[int]) -> torch.Tensor:
        """Let the reasoner read what is new in each row, latents at its end; hidden states (B, D) of the last ones.

        Latents need the weaver alone, so a row's new token and its latents are one pass.
        """
        for prompt in (True, False):
            places = [place for place in inserting if prompt == (not self._rows[place].completion.ids)]
            if places:
                for place, latents in zip(places, self._latents(places, prompt), strict=True):
                    self._rows[place].reasoner.append(latents)
        chunks = [torch.cat(row.reasoner) for row in self._rows]
        hidden = self._reasoner.read(range(len(chunks)), chunks)
        return torch.stack([own[-1] for own in hidden])

    def _latents(self, places: list[int], prompt: bool) -> torch.Tensor:
        """Latents (b, K, D) behind what these rows have."""
        rows = [self._rows[place] for place in places]
        chunks = [torch.cat(row.weaver) if row.weaver else self._nothing() for row in rows]
        latents = self._model.weave_rows(self._weaver, places, chunks, prompt=prompt)
        if self._improve is not None:
            self._reasoner.read(places, [torch.cat(row.reasoner) for row in rows])
            numbers, tokens = [row.number for row in rows], [len(row.completion.ids) for row in rows]
            latents = self._improve(self._reasoner.prefix(places), latents, numbers, tokens)
            for row in rows:
                row.reasoner.clear()
        for row, own in zip(rows, latents, strict=True):
            row.weaver = [own]
            row.inserted += not prompt
        return latents

    def _nothing(self) -> torch.Tensor:
        return torch.empty(0, self._model.base.model.config.hidden_size, device=self._model.base.device)

    def _choose(self, logits: torch.Tensor) -> torch.Tensor:
        """Next tokens (B,) from logits (B, V)."""
        if self._sampling is None or not self._sampling.tokens:
            return logits.argmax(-1)
        return self._sampling.draw(logits / self._sampling.temperature, [row.number for row in self._rows])

    def _take(self, tokens: torch.Tensor) -> None:
        """Append a token to each row and let finished rows leave."""
        embedded = self._model.embed(tokens)[:, None]
        staying = []
        for place, (row, token) in enumerate(zip(self._rows, tokens.tolist(), strict=True)):
            completion = row.completion
            completion.ids.append(token)
            completion.ended = token == self._model.base.eos_id
            if completion.ended or len(completion.ids) == self._limits[row.number]:
                self._on_row(row.number, completion)
                continue
            staying.append(place)
            row.reasoner = [embedded[place]]
            row.weaver.append(embedded[place])
            if self._trigger:
                row.trigger.append(embedded[place])
        self._close_ranks(staying)

    def _close_ranks(self, staying: list[int]) -> None:
        """Fill the places of rows that left with the last ones, so that a pass over all reads the caches in place."""
        order = list(staying)
        for target in range(len(staying)):
            if target in staying:
                continue
            source = order.pop()
            order.insert(target, source)
            for stream in self._streams:
                stream.move(source, target)
        self._rows = [self._rows[place] for place in order]
        for stream in self._streams:
            for place in range(len(order), self._width):
                stream.clear(place)
