"""MemGen: a frozen reasoner, a weaver that puts latents into its input, a trigger that decides where.

One base in memory; `weaver` and `trigger` are adapters in it (see `adapters`). Shapes: B rows, T tokens, D hidden
size, K latents, V vocabulary. Source: MemGen, arXiv 2509.24704.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from peft import LoraConfig
from torch import nn

from memgen.contract.insertion import DELIMITERS, Limits
from memgen.contract.weaver_variants import VARIANTS, VariantName
from memgen.model.adapters import Adapter, Adapters
from memgen.model.base import BaseModel
from memgen.model.label_logprobs import label_logprobs
from memgen.model.recompute import recompute_layers
from memgen.model.row_cache import Reading, RowStream, read_together
from memgen.model.row_dropout import RowDraw
from memgen.model.stream import Stream
from memgen.model.weaver import WeaverParts

Instead = Callable[[torch.Tensor, int, int], torch.Tensor]
"""From latents (K, D), the number of the row and the point in front of which they stand to those to use."""


@dataclass(frozen=True)
class LatentSettings(Limits):
    """How many latents, and how often."""

    prompt_latents_len: int = 8
    inference_latents_len: int = 8
    query_norms: bool = True
    """Whether query latents are normalised and scaled before the weaver sees them; not so in an older layout."""

    @classmethod
    def of(cls, numbers: Mapping[str, int]) -> "LatentSettings":
        """From the numbers of a manifest."""
        norms = bool(numbers.get("query_norms", True))
        return cls(**{name: number for name, number in numbers.items() if name != "query_norms"}, query_norms=norms)


@dataclass(frozen=True)
class Row:
    """One teacher-forced example."""

    ids: torch.Tensor
    """Token ids, (T,)."""
    points: list[int]
    """Latents stand before these tokens, ascending."""
    first_label: int = 1
    """Log-probabilities are wanted from this token on."""
    at_prompt: bool = True
    """Whether its first latents are those at the end of the prompt, where the limits allow for any there."""
    seed: int | None = None
    """By which dropout is drawn for this row alone, of all rows of a batch or of none; None draws for the batch."""


class MemGenModel(nn.Module):
    """Base, adapters and the parts beside them.

    Args:
        base: the loaded base model; frozen from here on.
        settings: latents and limits.
        lora: LoRA settings of both adapters.
        variant: what is left of the weaver.
        mark: what tells its adapters from those of other models on the same base.
    """

    def __init__(
        self,
        base: BaseModel,
        settings: LatentSettings,
        lora: dict[Adapter, LoraConfig],
        variant: VariantName = "full",
        mark: str = "",
    ) -> None:
        super().__init__()
        self.settings = settings
        self.variant = variant
        self._weaver_has = VARIANTS[variant]
        self.lora = lora
        self.base = base
        self.adapters = Adapters(base.model, lora, mark)
        hidden_size: int = base.model.config.hidden_size
        self.weaver = WeaverParts(
            hidden_size, settings.prompt_latents_len, settings.inference_latents_len, norms=bool(settings.query_norms)
        )
        self.trigger_head = nn.Linear(hidden_size, 2)
        self.to(base.device)
        self.eval()
        self._ends_in_delimiter = delimiter_table(base)

    @property
    def decoder(self) -> nn.Module:
        """The base without its output head."""
        decoder: nn.Module = self.base.model.get_decoder()
        return decoder

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (T,) as the reasoner's input embeddings (T, D)."""
        embedded: torch.Tensor = self.base.model.get_input_embeddings()(ids)
        return embedded

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Next-token logits (..., V) in float32 of hidden states (..., D)."""
        return self.base.logits(hidden)

    def stream(self, rows: int) -> Stream:
        """An empty cache for this many rows that read together; gradients run through it."""
        return Stream(self.decoder, rows)

    def row_stream(self, rows: int) -> RowStream:
        """An empty cache for this many rows that each grow at their own pace."""
        return RowStream(self.decoder, rows)

    def is_delimiter(self, token: int) -> bool:
        """Whether the token's own text ends in a comma, a full stop or a newline."""
        return bool(self._ends_in_delimiter[token])

    def text_of(self, ids: Sequence[int]) -> str:
        """The text of tokens as they stand."""
        text: str = self.base.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        return text

    def augmentation_points(
        self, ids: Sequence[int], prompt_length: int, keeps: Callable[[int], bool] = lambda _: True
    ) -> list[int]:
        """Where latents stand in a supervised example: before these tokens, at every point that the rule allows.

        Args:
            ids: tokens of the prompt and the answer.
            prompt_length: tokens of the prompt.
            keeps: asked of each point inside the answer, in their order, as the trigger is in generation: a point that
                it declines does not count in the limit, and at the limit it is not asked.
        """
        may_insert, points = self.settings.may_insert, []
        if may_insert(None, 0, self.is_delimiter, str):
            points.append(prompt_length)
        before = len(points)
        for place in range(prompt_length + 1, len(ids)):
            newest, inserted = int(ids[place - 1]), len(points) - before
            answer = partial(self._text_between, ids, prompt_length, place)
            if may_insert(newest, inserted, self.is_delimiter, answer) and keeps(place):
                points.append(place)
        return points

    def _text_between(self, ids: Sequence[int], start: int, end: int) -> str:
        return self.text_of(ids[start:end])

    def weave(self, stream: Stream, chunks: Sequence[torch.Tensor], *, prompt: bool) -> torch.Tensor:
        """Latents (B, K, D) in the reasoner's space after what the weaver has read and these chunks.

        Args:
            stream: the weaver's; reads the chunks, and forgets the queries again.
            chunks: per row the reasoner's input embeddings (n_i, D) since the last call.
            prompt: whether this is the end of the prompt.
        """
        return torch.stack(self._weave(stream, chunks, [prompt] * len(chunks)))

    def _weave(
        self, stream: Stream, chunks: Sequence[torch.Tensor], prompt: Sequence[bool]
    ) -> tuple[torch.Tensor, ...]:
        """Latents (K, D) of each row, some of which may be at the end of their prompt."""
        if not self._weaver_has.reads:
            static = {one: self._static_latents(one) for one in set(prompt)}
            return tuple(static[one] for one in prompt)
        queries = self._queries(prompt)
        with self.adapters.on(self._weaver_adapter):
            hidden = stream.read(self._into_weaver(chunks), queries)
        return self._latents_at(hidden, queries)

    def read_and_weave(
        self, reasoner: Reading, weaver: Reading, *, prompt: Sequence[bool]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """One pass of the base in which rows of the reasoner and of the weaver read on, each row at its own pace.

        Args:
            reasoner: embeddings that its rows read.
            weaver: per row the reasoner's input embeddings since its last call; the queries are put after them here.
            prompt: per row of the weaver, whether this is the end of the prompt.

        Returns:
            Hidden states (n_i, D) of the reasoner's rows, and latents (K, D), in the reasoner's space, of the weaver's.
        """
        if not self._weaver_has.reads:
            return self._read_together(reasoner, weaver)[0], [self._static_latents(one) for one in prompt]
        if not weaver.rows:
            return self._read_together(reasoner, weaver)[0], []
        queries = self._queries(prompt)
        hidden, woven = self._read_together(reasoner, replace(weaver, queries=queries))
        return hidden, list(self._latents_at(woven, queries))

    def read_ahead(self, reasoner: Reading, weaver: Reading, trigger: Reading | None) -> None:
        """Let rows of each role read embeddings (n_i, D) after which nothing is wanted yet."""
        self._read_together(reasoner, weaver)
        if trigger is not None:
            with self.adapters.on("trigger"):
                read_together([trigger])

    def _read_together(self, reasoner: Reading, weaver: Reading) -> list[list[torch.Tensor]]:
        """Hidden states of both, in one pass of the base; of the reasoner alone, where the weaver reads nothing."""
        if not self._weaver_has.reads:
            return read_together([reasoner]) if reasoner.rows else [[]]
        chunks = self._into_weaver(weaver.chunks) if weaver.rows else []
        with self.adapters.on_from(self._weaver_adapter, sum(len(chunk) for chunk in reasoner.chunks)):
            return read_together([reasoner, replace(weaver, chunks=chunks)])

    @property
    def _weaver_adapter(self) -> Adapter | None:
        return "weaver" if "lora" in self._weaver_has.trains else None

    def _static_latents(self, prompt: bool) -> torch.Tensor:
        """Latents (K, D) of a weaver that reads nothing: its queries, as they are, take the way out of it."""
        return self._out_of_weaver(self.weaver.queries(prompt=prompt))

    def _queries(self, prompt: Sequence[bool]) -> list[torch.Tensor]:
        """Queries (K, D) of each row, some of which may be at the end of their prompt."""
        kinds = {one: self.weaver.queries(prompt=one).to(self.base.model.dtype) for one in set(prompt)}
        return [kinds[one] for one in prompt]

    def _into_weaver(self, chunks: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Embeddings (n_i, D) of the reasoner in the weaver's space."""
        projected: torch.Tensor = self.weaver.reasoner_to_weaver(torch.cat(list(chunks)).float())
        return torch.split(projected.to(self.base.model.dtype), [len(chunk) for chunk in chunks])

    def _latents_at(self, hidden: Sequence[torch.Tensor], queries: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Latents (K, D) of each row from the weaver's hidden states (n_i + K, D), whose last are at the queries."""
        counts = [len(own) for own in queries]
        ends = [own[-count:] for own, count in zip(hidden, counts, strict=True)]
        return torch.split(self._out_of_weaver(torch.cat(ends)), counts)

    def _out_of_weaver(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states (..., K, D) at the queries as latents in the reasoner's space."""
        latents: torch.Tensor = self.weaver.weaver_to_reasoner(hidden.float())
        return latents.to(self.base.model.dtype)

    def decide(self, stream: RowStream, rows: Sequence[int], chunks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Log-probabilities (b, 2) of [skip, insert] after these tokens.

        Args:
            stream: the trigger's; sees tokens and no latents.
            rows: which of its rows, b of them.
            chunks: per row the embeddings (n_i, D) of the tokens since the last call, at least one.
        """
        with self.adapters.on("trigger"):
            hidden = torch.stack([own[-1] for own in stream.read(rows, chunks)])
        return torch.log_softmax(self.trigger_head(hidden.float()), dim=-1)

    def train(self, mode: bool = True) -> "MemGenModel":
        """Switch the dropout in front of the LoRA on or off."""
        super().train(mode)
        self.adapters.dropout(mode)
        return self

    def train_part(self, name: Adapter | None) -> dict[str, list[nn.Parameter]]:
        """Let gradients into one part and keep them out of everything else; None freezes all.

        Returns:
            The trained parameters by group: `lora` and, of the weaver, `latents` (queries, norms, scales) and
            `projections`; of the trigger, `head`. Of an ablated weaver what it has of these.
        """
        self.requires_grad_(False)
        groups = {} if name is None else self._groups(name)
        self.adapters.train(name if "lora" in groups else None)
        for parameters in groups.values():
            for parameter in parameters:
                parameter.requires_grad_(True)
        return groups

    def _groups(self, name: Adapter) -> dict[str, list[nn.Parameter]]:
        lora = list(self.adapters.parameters(name).values())
        if name == "trigger":
            return {"lora": lora, "head": list(self.trigger_head.parameters())}
        own = dict(self.weaver.named_parameters())
        outward = (
            "weaver_to_reasoner" if not self._weaver_has.reads else "_to_"
        )  # nothing comes in where nothing is read
        groups = {
            "lora": lora,
            "latents": [value for key, value in own.items() if "_to_" not in key],
            "projections": [value for key, value in own.items() if outward in key],
        }
        return {group: groups[group] for group in self._weaver_has.trains}

    def recompute_layers(self) -> None:
        """Keep fewer activations for the backward pass and compute them again (gradient checkpointing)."""
        recompute_layers(self.decoder, self.adapters)

    def token_logprobs(
        self, rows: Sequence[Row], temperature: float = 1.0, instead: Instead | None = None
    ) -> list[torch.Tensor]:
        """Log-probabilities (T - first_label,) of each row's tokens from its first label on, latents at its points.

        A position whose next one is a latent gives no logit, so the last latent predicts the next token. What stands
        in front of a row's first latent depends on nothing that is trained and is read without gradient.

        Args:
            rows: whose latents stand where their points say, and nowhere else.
            temperature: that logits are divided by.
            instead: what stands in the place of the weaver's latents.
        """
        embeddings = [self.embed(row.ids) for row in rows]
        latents = self._latents_of(rows, embeddings, instead)
        heads = [row.points[0] if row.points else len(row.ids) for row in rows]
        tails = [
            _insert(embedded[head:], [point - head for point in row.points], woven)
            for row, embedded, head, woven in zip(rows, embeddings, heads, latents, strict=True)
        ]
        stream = self.stream(len(rows))
        with torch.no_grad():
            front = stream.read([embedded[:head] for embedded, head in zip(embeddings, heads, strict=True)])
        longer = [number for number, row in enumerate(rows) if row.points]
        stream.keep_rows(longer)
        read_on = dict(zip(longer, stream.read([tails[number] for number in longer]), strict=True)) if longer else {}
        wanted = []
        for number, (row, woven, before) in enumerate(zip(rows, latents, front, strict=True)):
            hidden = torch.cat([before, read_on[number]]) if row.points else before
            shift = torch.zeros(len(row.ids), dtype=torch.long)
            for point, latent in zip(row.points, woven, strict=True):
                shift[point:] += latent.shape[0]
            predictors = (torch.arange(len(row.ids)) + shift - 1)[row.first_label :]
            wanted.append(hidden[predictors.to(hidden.device)])
        labels = torch.cat([row.ids[row.first_label :] for row in rows])
        logprobs = label_logprobs(self.logits, torch.cat(wanted), labels, temperature)
        return list(torch.split(logprobs, [len(hidden) for hidden in wanted]))

    def decision_logprobs(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        """Log-probabilities (n, 2) of [skip, insert] at each of a row's n points, one trigger pass for all rows.

        A point p is decided by the tokens in front of it; each row needs one at least.
        """
        embeddings = [self.embed(row.ids[: row.points[-1]]) for row in rows]
        with self.adapters.on("trigger"):
            hidden = self.stream(len(rows)).read(embeddings)
        wanted = [own[torch.tensor(row.points, device=own.device) - 1] for row, own in zip(rows, hidden, strict=True)]
        logprobs = torch.log_softmax(self.trigger_head(torch.cat(wanted).float()), dim=-1)
        return list(torch.split(logprobs, [len(row.points) for row in rows]))

    def latents_of(self, rows: Sequence[Row]) -> list[list[torch.Tensor]]:
        """Latents (K, D) at each point of each row."""
        return self._latents_of(rows, [self.embed(row.ids) for row in rows])

    def _latents_of(
        self, rows: Sequence[Row], embeddings: Sequence[torch.Tensor], instead: Instead | None = None
    ) -> list[list[torch.Tensor]]:
        """Latents (K, D) at each point of each row; the weaver reads each position once, and those that are used."""
        woven: list[list[torch.Tensor]] = [[] for _ in rows]
        alive = list(range(len(rows)))
        stream = self.stream(len(rows))
        may_be_at_prompt = self.settings.max_prompt_aug_num == 1
        for turn in range(max((len(row.points) for row in rows), default=0)):
            going_on = [place for place, number in enumerate(alive) if len(rows[number].points) > turn]
            if len(going_on) < len(alive):
                stream.keep_rows(going_on)
                alive = [alive[place] for place in going_on]
            chunks = []
            for number in alive:
                points = rows[number].points
                start = points[turn - 1] if turn else 0
                fresh = embeddings[number][start : points[turn]]
                chunks.append(torch.cat([woven[number][-1], fresh]) if turn else fresh)
            prompt = [turn == 0 and may_be_at_prompt and rows[number].at_prompt for number in alive]
            with self.adapters.draws.of(self._draws(rows, alive, turn, chunks, prompt)):
                fresh_latents = self._weave(stream, chunks, prompt)
            for number, latents in zip(alive, fresh_latents, strict=True):
                woven[number].append(instead(latents, number, rows[number].points[turn]) if instead else latents)
        return woven

    def _draws(
        self,
        rows: Sequence[Row],
        alive: Sequence[int],
        turn: int,
        chunks: Sequence[torch.Tensor],
        prompt: Sequence[bool],
    ) -> list[RowDraw] | None:
        """How dropout is drawn in a weaver's pass: by each row's seed and its n-th insertion, if rows have seeds."""
        draws = []
        for number, chunk, at_prompt in zip(alive, chunks, prompt, strict=True):
            seed = rows[number].seed
            if seed is None:
                return None
            queries = self.settings.prompt_latents_len if at_prompt else self.settings.inference_latents_len
            draws.append(RowDraw(seed + turn, len(chunk) + queries))
        return draws


def delimiter_table(base: BaseModel) -> torch.Tensor:
    """For each token id whether its own text ends in a delimiter, (V,) of bool."""
    size = int(base.model.get_input_embeddings().num_embeddings)  # type: ignore[arg-type]
    known = min(size, len(base.tokenizer))
    texts = base.tokenizer.batch_decode([[number] for number in range(known)])
    table = torch.zeros(size, dtype=torch.bool)
    table[:known] = torch.tensor([text.endswith(DELIMITERS) for text in texts])
    return table


def _insert(embedded: torch.Tensor, points: Sequence[int], latents: Sequence[torch.Tensor]) -> torch.Tensor:
    """Embeddings (T, D) with latents before the tokens at `points`."""
    parts, start = [], 0
    for point, latent in zip(points, latents, strict=True):
        parts += [embedded[start:point], latent]
        start = point
    return torch.cat([*parts, embedded[start:]])
