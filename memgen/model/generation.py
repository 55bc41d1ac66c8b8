"""Generation of the plain base model, greedy and batched or with drawn tokens, with a look at every token.

transformers does the decoding; what is ours is that finished rows are told at once and a stop is obeyed
between two tokens.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from memgen.contract.errors import BadInput
from memgen.model.base import BaseModel
from memgen.model.finite import check_likeliest


class _EachToken(StoppingCriteria):
    """Tells finished rows as they finish and ends generation when asked to."""

    def __init__(
        self,
        prompt_length: int,
        eos_id: int,
        on_row: Callable[[int, list[int], bool], None],
        should_stop: Callable[[], bool],
        on_pass: Callable[[], None],
        on_token: Callable[[int, int], None] | None,
    ) -> None:
        self._prompt_length = prompt_length
        self._eos_id = eos_id
        self._on_row = on_row
        self._should_stop = should_stop
        self._on_pass = on_pass
        self._on_token = on_token
        self.told: set[int] = set()

    def __call__(self, input_ids: torch.LongTensor, _scores: torch.FloatTensor, **_: object) -> torch.BoolTensor:
        self._on_pass()
        newest = input_ids[:, -1].tolist()  # (B,)
        for row, token in enumerate(newest):
            if row in self.told:
                continue
            if self._on_token is not None and token != self._eos_id:
                self._on_token(row, token)
            if token == self._eos_id:
                self.told.add(row)
                self._on_row(row, input_ids[row, self._prompt_length : -1].tolist(), False)
        return torch.full((input_ids.shape[0],), self._should_stop(), device=input_ids.device)  # type: ignore[return-value]


class _OnlyNumbers(LogitsProcessor):
    """Ends generation where a token would be chosen from what is no number; changes nothing."""

    def __call__(self, _input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        check_likeliest(scores, "the base model's logits")
        return scores


def generate_greedy(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    on_row: Callable[[int, list[int], bool], None],
    should_stop: Callable[[], bool] = lambda: False,
    on_pass: Callable[[], None] = lambda: None,
    on_token: Callable[[int, int], None] | None = None,
) -> bool:
    """Continue prompts greedily, up to `<|im_end|>` or `max_new_tokens`.

    Args:
        base: the model.
        prompts: B lists of token ids.
        max_new_tokens: most tokens of a completion.
        on_row: called once per row as it ends: row, completion ids without the end token, truncated.
        should_stop: asked after each token; True ends the call and rows that are not done stay untold.
        on_pass: called after each pass of the base, in which every completion under way gets a token.
        on_token: called with each new token of a row but the end token: row, token id.

    Returns:
        Whether all rows were told.

    Raises:
        Diverged: logits are NaN or infinite.
    """
    return _generate(base, prompts, max_new_tokens, on_row, should_stop, on_pass, on_token, do_sample=False)


def generate_sampled(
    base: BaseModel,
    prompt: Sequence[int],
    max_new_tokens: int,
    on_row: Callable[[int, list[int], bool], None],
    should_stop: Callable[[], bool] = lambda: False,
    on_token: Callable[[int, int], None] | None = None,
    *,
    temperature: float,
    seed: int,
) -> bool:
    """Continue one prompt with drawn tokens; else as `generate_greedy`.

    Args:
        base: the model.
        prompt: token ids.
        max_new_tokens: most tokens of the completion.
        on_row: called once, as in `generate_greedy`.
        should_stop: asked after each token.
        on_token: called with each new token but the end token.
        temperature: above 0; of all tokens, none of which is cut off.
        seed: of what is drawn; the same one draws the same again.
    """
    devices = [base.device] if base.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        return _generate(
            base, [prompt], max_new_tokens, on_row, should_stop, lambda: None, on_token,
            do_sample=True, temperature=temperature, top_k=0, top_p=1.0,
        )  # fmt: skip


def _generate(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    on_row: Callable[[int, list[int], bool], None],
    should_stop: Callable[[], bool],
    on_pass: Callable[[], None],
    on_token: Callable[[int, int], None] | None,
    **choosing: Any,
) -> bool:
    """Leave it to transformers, given how the next token is chosen."""
    ids, mask = pad_left(prompts, base.pad_id)
    prompt_length = ids.shape[1]
    each_token = _EachToken(prompt_length, base.eos_id, on_row, should_stop, on_pass, on_token)
    config = GenerationConfig(
        **choosing,
        max_new_tokens=max_new_tokens,
        num_beams=1,
        repetition_penalty=1.0,
        eos_token_id=base.eos_id,
        pad_token_id=base.pad_id,
        use_cache=True,
    )
    with torch.inference_mode():
        out = base.model.generate(  # type: ignore[operator]
            input_ids=ids.to(base.device),
            attention_mask=mask.to(base.device),
            generation_config=config,
            logits_processor=LogitsProcessorList([_OnlyNumbers()]),
            stopping_criteria=StoppingCriteriaList([each_token]),
        )
    if should_stop():
        return len(each_token.told) == len(prompts)
    for row in range(len(prompts)):
        if row not in each_token.told:
            on_row(row, out[row, prompt_length:].tolist(), True)
    return True


def pad_left(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as a left-padded batch: ids and mask, both (B, T) of int64."""
    length = max(len(row) for row in rows)
    ids = torch.full((len(rows), length), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, length - len(row) :] = torch.tensor(row, dtype=torch.long)
        mask[number, length - len(row) :] = 1
    return ids, mask


def encode_prompts(base: BaseModel, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of rendered prompts.

    Raises:
        BadInput: `prompt_too_long`; a prompt is never cut in silence.
    """
    prompts: list[list[int]] = [base.tokenizer.encode(text, add_special_tokens=False) for text in texts]
    longest = max(map(len, prompts), default=0)
    if longest > max_length:
        raise BadInput(
            "prompt_too_long",
            f"the longest prompt has {longest} tokens",
            field="max_prompt_length",
            value=max_length,
            way_out=f"Set max_prompt_length to {longest} or more.",
        )
    return prompts
