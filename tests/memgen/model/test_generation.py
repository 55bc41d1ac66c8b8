"""Our greedy generation against the golden prompts and a plain token-by-token loop without a cache."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.presets import get_preset
from memgen.data.prompt import question_prompt
from memgen.model.base import BaseModel, load_base
from memgen.model.fetch import fetch_model
from memgen.model.generation import encode_prompts, generate_greedy, pad_left
from memgen.monitor import Monitor
from tests.conftest import GOLDEN, TINY


@pytest.fixture
def base(home: Path) -> BaseModel:
    return load_base(fetch_model(get_preset(TINY), None, home, Monitor(None)), "auto")


def greedy(base: BaseModel, prompts: list[list[int]], length: int) -> dict[int, tuple[list[int], bool]]:
    rows: dict[int, tuple[list[int], bool]] = {}
    generate_greedy(base, prompts, length, lambda row, ids, truncated: rows.update({row: (ids, truncated)}))
    return rows


def test_prompt_tokens_equal_the_golden_ones(base: BaseModel) -> None:
    import json

    rows = json.loads((GOLDEN / "a" / "golden.json").read_text())["rows"]
    tensors = load_file(GOLDEN / "a" / "golden.safetensors")
    ids, mask = tensors["generate/inactive/prompt_ids"], tensors["generate/inactive/prompt_mask"]
    for number, row in enumerate(rows):
        text = base.tokenizer.decode(ids[number][mask[number].bool()])
        question = text.split("Question: ")[1].removesuffix("\n<|im_end|>\n<|im_start|>assistant\n")
        ours = encode_prompts(base, [question_prompt(GSM8K, question)], 1024)[0]
        assert ours == ids[number][mask[number].bool()].tolist()
        assert row


def test_batch_of_unequal_prompts_equals_a_loop_without_cache(base: BaseModel) -> None:
    questions = ["What is 2 + 3?", "Tom has 4 apples and buys 5 more, then eats 2. How many are left?", "1+1?"]
    prompts = encode_prompts(base, [question_prompt(GSM8K, question) for question in questions], 1024)
    batched = greedy(base, prompts, 40)
    for number, prompt in enumerate(prompts):
        ids = list(prompt)
        with torch.inference_mode():
            while len(ids) - len(prompt) < 40:
                following = int(base.model(torch.tensor([ids])).logits[0, -1].argmax())
                if following == base.eos_id:
                    break
                ids.append(following)
        assert batched[number][0] == ids[len(prompt) :]


def test_rows_are_told_once_and_a_stop_leaves_the_rest_untold(base: BaseModel) -> None:
    prompts = encode_prompts(base, [question_prompt(GSM8K, "What is 2 + 3?")] * 2, 1024)
    told: list[int] = []
    asked = iter(range(100))
    whole = generate_greedy(base, prompts, 50, lambda row, *_: told.append(row), lambda: next(asked) >= 3)
    assert (whole, told) == (False, [])


def test_padding_is_on_the_left_and_masked() -> None:
    ids, mask = pad_left([[5, 6, 7], [8]], pad_id=2)
    assert ids.tolist() == [[5, 6, 7], [2, 2, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
