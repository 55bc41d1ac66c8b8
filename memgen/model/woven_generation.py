"""Greedy generation with latents: three caches that only grow, finished rows leave the batch.

Behind the prompt, and behind each token that ends in a delimiter, latents are inserted; with an active trigger only
where it says so. An insertion costs K positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from memgen.model.memgen_model import MemGenModel
from memgen.model.stream import Stream


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


@torch.inference_mode()
def generate_woven(
    model: MemGenModel, prompts: Sequence[torch.Tensor], max_new_tokens: int, *, trigger: bool
) -> list[Completion]:
    """Continue prompts greedily with latents.

    Args:
        model: in eval mode.
        prompts: per row the token ids, (P_i,).
        max_new_tokens: most tokens of a completion.
        trigger: whether the trigger decides; else latents are always inserted.
    """
    out = [Completion() for _ in prompts]
    rows = _Rows(model, prompts)
    reasoner, weaver, reader = (model.stream(len(prompts)) for _ in range(3))
    at_points = [bool(model.settings.max_prompt_aug_num)] * len(prompts)
    chunks = list(rows.unwoven)
    for step in range(max_new_tokens):
        inserting = _decide(model, rows, reader, at_points, out, step, trigger)
        if any(inserting):
            empty = [embedded[:0] for embedded in rows.unwoven]
            fresh = [new if wanted else none for new, none, wanted in zip(rows.unwoven, empty, inserting, strict=True)]
            latents = model.weave(weaver, fresh, prompt=step == 0)
            for place, wanted in enumerate(inserting):
                if wanted:
                    chunks[place] = torch.cat([chunks[place], latents[place]])
                    rows.unwoven[place] = latents[place]
                    rows.inserted[place] += step > 0
        hidden = reasoner.read(chunks)[:, -1]
        tokens = model.logits(hidden).argmax(-1)
        for number, token in zip(rows.numbers, tokens.tolist(), strict=True):
            out[number].ids.append(token)
        places = [place for place, token in enumerate(tokens.tolist()) if token != model.base.eos_id]
        if not places:
            break
        if len(places) < len(rows.numbers):
            rows.keep(places)
            index = torch.tensor(places, device=tokens.device)
            tokens = tokens[index]
            for stream in (reasoner, weaver, reader):
                stream.keep_rows(index)
        chunks = [model.embed(token[None]) for token in tokens]
        rows.unwoven = [torch.cat([old, new]) for old, new in zip(rows.unwoven, chunks, strict=True)]
        rows.unread = [torch.cat([old, new]) for old, new in zip(rows.unread, chunks, strict=True)]
        at_points = [
            model.is_delimiter(int(token)) and done < model.settings.max_inference_aug_num
            for token, done in zip(tokens.tolist(), rows.inserted, strict=True)
        ]
    return out


def _decide(
    model: MemGenModel,
    rows: _Rows,
    reader: Stream,
    at_points: list[bool],
    out: list[Completion],
    step: int,
    trigger: bool,
) -> list[bool]:
    """Which rows insert latents now; written into their completions."""
    inserting = list(at_points)
    logprobs = [0.0] * len(at_points)
    if trigger and any(at_points):
        chunks = [new if asked else new[:0] for new, asked in zip(rows.unread, at_points, strict=True)]
        said = model.decide(reader, chunks)
        for place, asked in enumerate(at_points):
            if asked:
                inserting[place] = bool(said[place].argmax())
                logprobs[place] = float(said[place].max())
                rows.unread[place] = rows.unread[place][:0]
    for place, number in enumerate(rows.numbers):
        if at_points[place]:
            out[number].decisions.append(Decision(step, trigger, inserting[place], logprobs[place]))
    return inserting
