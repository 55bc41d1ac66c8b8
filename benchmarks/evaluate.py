"""An evaluation's generation, weaver on, against transformers' `generate` in static batches without latents.

Rows end after recorded lengths. A static batch goes on until its longest row ends; ours gives a free place to the next
question.
"""

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from benchmarks.generate import endless, prompts
from benchmarks.ratio import Ratio, measure, seconds
from benchmarks.setup import plain
from memgen.doctor.card.random_model import regularly
from memgen.model.base import BaseModel
from memgen.model.generation import pad_left
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import generate_woven

# tokens of the first 16 GSM8K training solutions, at most 200
LENGTHS = (64, 69, 106, 81, 171, 94, 120, 143, 200, 151, 157, 95, 93, 82, 200, 134)
WIDTH, ROUNDS, LIMIT = 4, 3, 1.0
# tokens of a row from one insertion to the next (those solutions have them 13.8 apart on average), and row to row
EVERY, SHIFT = 13, 3


def run(name: str) -> Ratio:
    """Seconds for all questions."""
    model, base = endless(name), plain(name)
    ours, theirs = prompts(model.base, len(LENGTHS)), prompts(base, len(LENGTHS))
    return measure(
        seconds(lambda: weave(model, ours)), seconds(lambda: continue_in_batches(base, theirs)), ROUNDS, LIMIT
    )


def weave(model: MemGenModel, rows: list[list[int]]) -> None:
    """Ours."""
    ids = [torch.tensor(row, device=model.base.device) for row in rows]
    completions = generate_woven(model, ids, LENGTHS, trigger=False, choose=regularly(EVERY, SHIFT), width=WIDTH)
    if [len(one.ids) for one in completions] != list(LENGTHS):
        raise RuntimeError("completions of other lengths than recorded")


class _EndAt(StoppingCriteria):
    """Ends each row at its length, as an end token would."""

    def __init__(self, prompt_length: int, lengths: list[int], device: torch.device) -> None:
        self._ends = torch.tensor(lengths, device=device) + prompt_length

    def __call__(self, input_ids: torch.LongTensor, *_: object, **__: object) -> torch.BoolTensor:
        return self._ends <= input_ids.shape[1]  # type: ignore[return-value]


def continue_in_batches(base: BaseModel, rows: list[list[int]]) -> None:
    """Theirs."""
    base.model.generation_config.eos_token_id = None
    for start in range(0, len(rows), WIDTH):
        lengths = list(LENGTHS[start : start + WIDTH])
        ids, mask = pad_left(rows[start : start + WIDTH], base.pad_id)
        config = GenerationConfig(
            max_new_tokens=max(lengths), do_sample=False, pad_token_id=base.pad_id, use_cache=True
        )
        with torch.inference_mode():
            base.model.generate(  # type: ignore[operator]
                input_ids=ids.to(base.device),
                attention_mask=mask.to(base.device),
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([_EndAt(ids.shape[1], lengths, base.device)]),
            )
