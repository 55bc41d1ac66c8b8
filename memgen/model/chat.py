"""Whether a tokenizer knows the chat format that prompts are written in (`memgen.data.prompt`)."""

from typing import Protocol

from memgen.contract.errors import BadInput
from memgen.data.prompt import END, START


class _Tokenizer(Protocol):
    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...


def end_token_id(tokenizer: _Tokenizer) -> int:
    """Id of `<|im_end|>`, which ends every answer.

    Raises:
        BadInput: `no_chatml`, if a ChatML marker is not one token of this tokenizer.
    """
    for marker in (START, END):
        if len(tokenizer.encode(marker, add_special_tokens=False)) != 1:
            raise BadInput(
                "no_chatml",
                f"the tokenizer splits {marker} into several tokens",
                field="preset",
                way_out="Choose a model with a ChatML tokenizer, e.g. an instruct model of Qwen2.5, Qwen3 or SmolLM2.",
            )
    return tokenizer.encode(END, add_special_tokens=False)[0]
