"""Generation with latents: three caches that only grow, finished rows leave and waiting prompts take their places.

After the prompt, and after each token that ends in a delimiter, latents are inserted; with an active trigger only
where it says so. Reasoner and weaver share each pass of the base: while the weaver makes a row's latents the others get
their next tokens, so an insertion costs its row one pass and the others nothing. A prompt that several rows begin with
together, as a rollout's do, is read once. With LTPO a row waits in front of its insertion, `PATIENCE` passes at most,
until half of the rows that can still come to one have done so: a step of the search takes hardly longer for many rows
than for one.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from memgen.model.drawing import NEWEST, Drawing, draw
from memgen.model.finite import check_likeliest
from memgen.model.ltpo import Peekable
from memgen.model.memgen_model import MemGenModel
from memgen.model.row_cache import Reading

Improve = Callable[[Peekable, torch.Tensor, list[int], list[int]], torch.Tensor]
"""From the reasoner's cache in front of insertions, latents (n, K, D), the prompts' numbers and the completion tokens
that follow, to the latents (n, K, D) to use."""
Choose = Callable[[int, int], bool]
"""From a prompt's number and the completion token that follows to whether latents are inserted."""

Overrule = Callable[[int, int, bool], bool]
"""From a prompt's number, the completion token that follows and what was decided to whether latents are inserted."""

Replace = Callable[[torch.Tensor, int, int], torch.Tensor]
"""From latents (K, D), the prompt's number and the completion token that follows to the latents (K, D) to use."""

PATIENCE = 32  # passes, more than usually lie between two delimiters, that a row waits for others before LTPO's search


@dataclass(frozen=True)
class Sampling:
    """How a rollout draws."""

    temperature: float
    tokens: bool
    """Whether tokens are drawn; else they are greedy."""
    generators: Sequence[torch.Generator]
    """One per prompt, on the CPU: what is drawn for a completion does not depend on what is generated beside it."""
    decisions: bool = True
    """Whether the trigger's decisions are drawn; else they are greedy."""
    drawing: Drawing = NEWEST

    def draw(self, logits: torch.Tensor, numbers: Sequence[int]) -> torch.Tensor:
        """One choice (B,) per row, for these prompts, from logits or log-probabilities (B, n) at the temperature."""
        return draw(logits, [self.generators[number] for number in numbers], self.drawing)


@dataclass
class Decision:
    """One decision point."""

    token: int
    """Latents stand before this token of the completion."""
    asked: bool
    inserted: bool
    logprob: float
    """Of the decision; 0 where the trigger was not asked."""
    probability: float | None = None
    """Of an insertion, as the trigger sees it at temperature 1; None where it was not asked."""


@dataclass
class Completion:
    """What one row became."""

    ids: list[int] = field(default_factory=list)
    """Completion tokens, `<|im_end|>` included if it came."""
    logprobs: list[float] = field(default_factory=list)
    """Of each token at the sampling's temperature; empty where tokens are greedy."""
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
    reasoner: torch.Tensor
    weaver: list[torch.Tensor]
    trigger: list[torch.Tensor]
    inserted: int = 0
    decided: bool = False
    """Whether the decision in front of its next token was made."""
    due: bool = False
    """Whether it gets latents next."""
    waited: int = 0
    """Passes that it has waited for others since it was due."""


def generate_woven(
    model: MemGenModel,
    prompts: Sequence[torch.Tensor],
    max_new_tokens: int | Sequence[int],
    *,
    trigger: bool,
    width: int | None = None,
    sampling: Sampling | None = None,
    improve: Improve | None = None,
    replace: Replace | None = None,
    choose: Choose | None = None,
    overrule: Overrule | None = None,
    on_start: Callable[[int], None] = lambda _: None,
    on_row: Callable[[int, Completion], None] = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_pass: Callable[[], None] = lambda: None,
    on_grown: Callable[[Sequence[Completion]], None] = lambda _: None,
) -> list[Completion]:
    """Continue prompts with latents, up to `<|im_end|>` or `max_new_tokens`.

    Args:
        model: in eval mode.
        prompts: per row the token ids, (P_i,), at least one.
        max_new_tokens: most tokens of a completion, or of each prompt's.
        trigger: whether the trigger decides; else latents are always inserted.
        width: most completions under way at a time, the others wait; None takes all at once.
        sampling: what is drawn, and how; None is greedy in all.
        improve: changes the latents of insertions before they are used (LTPO).
        replace: the same for one insertion at a time, which then waits for no other.
        choose: decides in the trigger's place.
        overrule: has the last word at each decision point.
        on_start: called once per prompt as its completion begins.
        on_row: called once per prompt as its completion ends.
        should_stop: asked after each pass; True ends the call and what is not done stays untold.
        on_pass: called after each pass of the base, in which every completion under way gets a token or latents, or
            waits for the others' insertions.
        on_grown: called at the same times with all completions as they stand, in the prompts' order.

    Returns:
        A completion per prompt, in the prompts' order.

    Raises:
        Diverged: logits or decisions are NaN or infinite.
    """
    # what inference mode makes can't take part in LTPO's backward pass
    with torch.no_grad() if improve else torch.inference_mode():
        told = (on_start, on_row)
        limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
        return _Generation(
            model, prompts, limits, trigger, width or len(prompts), sampling, improve, replace, choose, overrule, told
        ).run(should_stop, on_pass, on_grown)


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
        replace: Replace | None,
        choose: Choose | None,
        overrule: Overrule | None,
        told: tuple[Callable[[int], None], Callable[[int, Completion], None]],
    ) -> None:
        self._model = model
        self._prompts = prompts
        self._limits = limits
        self._trigger = trigger
        self._width = min(width, len(prompts))
        self._sampling = sampling
        self._improve = improve
        self._replace = replace
        self._choose_points = choose
        self._overrule = overrule
        self._on_start, self._on_row = told
        self._out = [Completion() for _ in prompts]
        self._waiting = deque(range(len(prompts)))
        self._rows: list[_Row] = []  # the n-th reads and writes row n of each cache
        self._streams = self._reasoner, self._weaver, self._reader = [model.row_stream(self._width) for _ in range(3)]

    def run(
        self,
        should_stop: Callable[[], bool],
        on_pass: Callable[[], None],
        on_grown: Callable[[Sequence[Completion]], None],
    ) -> list[Completion]:
        while True:
            self._admit()
            if not self._rows:
                return self._out
            self._decide()
            self._step(self._due())
            on_pass()
            on_grown(self._out)
            if should_stop():
                return self._out

    def _admit(self) -> None:
        """Let waiting prompts take free places."""
        by_prompt: dict[tuple[int, ...], list[int]] = {}
        while self._waiting and len(self._rows) < self._width:
            number = self._waiting.popleft()
            by_prompt.setdefault(tuple(self._prompts[number].tolist()), []).append(len(self._rows))
            prompt = self._model.embed(self._prompts[number])
            self._rows.append(_Row(number, self._out[number], prompt, [prompt], [prompt]))
            self._on_start(number)
        self._read_once([places for prompt, places in by_prompt.items() if len(places) > 1 and len(prompt) > 1])

    def _read_once(self, alike: Sequence[list[int]]) -> None:
        """Let the first of each of these lists of places read the prompt they share, and the others have read it, too.

        Each then reads the prompt's last token itself, after which it goes its own way.
        """
        if not alike:
            return
        first = [places[0] for places in alike]
        heads = [self._rows[place].reasoner[:-1] for place in first]
        roles = [Reading(stream, first, heads) for stream in self._streams]
        self._model.read_ahead(roles[0], roles[1], roles[2] if self._trigger else None)
        for source, *others in alike:
            for target in others:
                for stream in self._streams:
                    stream.copy(source, target)
            for place in (source, *others):
                row = self._rows[place]
                row.reasoner = row.reasoner[-1:]
                row.weaver, row.trigger = [row.reasoner], [row.reasoner]

    def _is_point(self, row: _Row) -> bool:
        """Whether latents may be inserted after what the row has so far."""
        ids = row.completion.ids
        newest = ids[-1] if ids else None
        return not row.decided and self._model.settings.may_insert(
            newest, row.inserted, self._model.is_delimiter, lambda: self._model.text_of(ids)
        )

    def _decide(self) -> None:
        """Decide where rows are at a point; each decision is written into its completion."""
        points = [place for place, row in enumerate(self._rows) if self._is_point(row)]
        inserting, logprobs = [True] * len(points), [0.0] * len(points)
        probabilities: list[float | None] = [None] * len(points)
        drawing = self._sampling if self._sampling is not None and self._sampling.decisions else None
        if self._choose_points is not None:
            rows = [self._rows[place] for place in points]
            inserting = [self._choose_points(row.number, len(row.completion.ids)) for row in rows]
        if self._trigger and points:
            chunks = [torch.cat(self._rows[place].trigger) for place in points]
            said = self._model.decide(self._reader, points, chunks)
            check_likeliest(said, "the trigger's decisions")
            probabilities = torch.softmax(said, dim=-1)[:, 1].tolist()
            if drawing is not None:
                said = torch.log_softmax(said / drawing.temperature, dim=-1)
            numbers = [self._rows[place].number for place in points]
            chosen = said.argmax(-1) if drawing is None else drawing.draw(said, numbers)
            inserting = [bool(choice) for choice in chosen.tolist()]
            logprobs = said.gather(1, chosen[:, None])[:, 0].tolist()
        if self._overrule is not None:
            rows = [self._rows[place] for place in points]
            decided = zip(rows, inserting, strict=True)
            inserting = [self._overrule(row.number, len(row.completion.ids), inserts) for row, inserts in decided]
        for place, inserts, logprob, likely in zip(points, inserting, logprobs, probabilities, strict=True):
            row = self._rows[place]
            row.trigger.clear()
            row.decided, row.due = True, inserts
            completion = row.completion
            completion.decisions.append(Decision(len(completion.ids), self._trigger, inserts, logprob, likely))

    def _due(self) -> list[int]:
        """Places of the rows that get latents in this pass."""
        due = [row for row in self._rows if row.due]
        if self._improve is not None:
            may_come = sum(row.due or self._model.settings.has_room(row.inserted) for row in self._rows)
            if 2 * len(due) < may_come and all(row.waited < PATIENCE for row in due):
                for row in due:
                    row.waited += 1
                return []
        return [place for place, row in enumerate(self._rows) if row.due]

    def _step(self, weaving: list[int]) -> None:
        """One pass: the reasoner reads what is new in each row, and each gets its next token or latents, or waits."""
        rows = self._rows
        going_on = [place for place, row in enumerate(rows) if not row.due]
        places = sorted(going_on + weaving)
        reading = Reading(self._reasoner, places, [rows[place].reasoner for place in places])
        fresh = [torch.cat(rows[place].weaver) for place in weaving]
        prompt = [not rows[place].completion.ids for place in weaving]
        read, latents = self._model.read_and_weave(reading, Reading(self._weaver, weaving, fresh), prompt=prompt)
        hidden = dict(zip(places, read, strict=True))
        if self._improve is not None:
            latents = self._improved(weaving, latents)
        if self._replace is not None:
            due = [(rows[place].number, len(rows[place].completion.ids)) for place in weaving]
            latents = [self._replace(own, *point) for own, point in zip(latents, due, strict=True)]
        for place, own, first in zip(weaving, latents, prompt, strict=True):
            row = rows[place]
            row.reasoner, row.weaver, row.due, row.waited = own, [own], False, 0
            row.inserted += not first
        if going_on:
            # of all rows of the pass, as many each time: of 3 on a CPU they take twice as long as of 4
            logits = self._model.logits(torch.stack([hidden[place][-1] for place in places]))
            if len(going_on) < len(places):
                logits = logits[[places.index(place) for place in going_on]]
            check_likeliest(logits, "the logits after tokens and latents")
            self._take(going_on, self._choose(logits, going_on))

    def _improved(self, places: Sequence[int], latents: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Latents (K, D) in the place of these; each number K apart, as a prompt's may differ from the others."""
        assert self._improve is not None
        found = dict(zip(places, latents, strict=True))
        for count in {len(own) for own in latents}:
            some = [place for place in places if len(found[place]) == count]
            rows = [self._rows[place] for place in some]
            numbers, tokens = [row.number for row in rows], [len(row.completion.ids) for row in rows]
            start = torch.stack([found[place] for place in some])
            found |= zip(some, self._improve(self._reasoner.prefix(some), start, numbers, tokens), strict=True)
        return [found[place] for place in places]

    def _choose(self, logits: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
        """Next tokens (b,) of these rows from logits (b, V)."""
        if self._sampling is None or not self._sampling.tokens:
            return logits.argmax(-1)
        rows = [self._rows[place] for place in places]
        scaled = logits / self._sampling.temperature
        tokens = self._sampling.draw(scaled, [row.number for row in rows])
        logprobs = torch.log_softmax(scaled, dim=-1).gather(1, tokens[:, None])[:, 0]
        for row, logprob in zip(rows, logprobs.tolist(), strict=True):
            row.completion.logprobs.append(logprob)
        return tokens

    def _take(self, places: Sequence[int], tokens: torch.Tensor) -> None:
        """Append a token to each of these rows and let finished rows leave."""
        embedded = self._model.embed(tokens)[:, None]
        leaving = set()
        for place, token, own in zip(places, tokens.tolist(), embedded, strict=True):
            row = self._rows[place]
            completion = row.completion
            completion.ids.append(token)
            completion.ended = token == self._model.base.eos_id
            if completion.ended or len(completion.ids) == self._limits[row.number]:
                self._on_row(row.number, completion)
                leaving.add(place)
                continue
            row.decided = False
            row.reasoner = own
            row.weaver.append(own)
            if self._trigger:
                row.trigger.append(own)
        self._close_ranks([place for place in range(len(self._rows)) if place not in leaving])

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
