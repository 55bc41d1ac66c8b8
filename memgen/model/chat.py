"""The chat format of every stage (ChatML) and the GSM8K prompt; their hash is part of every result.

One character in the prompt moves accuracy by points, so nothing here depends on the model's own template.
"""

import hashlib
from typing import Protocol

from memgen.contract.answers import Message
from memgen.contract.errors import BadInput

INSTRUCTION = "Solve the math problem with proper reasoning, and make sure to put the FINAL ANSWER inside \\boxed{}."
START, END = "<|im_start|>", "<|im_end|>"


class _Tokenizer(Protocol):
    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...


def question_messages(question: str) -> list[Message]:
    """The single user turn that asks a question."""
    return [Message(role="user", content=f"{INSTRUCTION}Question: {question}\n")]


def render(messages: list[Message]) -> str:
    """ChatML text of a conversation, ending where the assistant's answer starts."""
    turns = "".join(f"{START}{message.role}\n{message.content}{END}\n" for message in messages)
    return f"{turns}{START}assistant\n"


def prompt_hash() -> str:
    """First 16 hex digits of the sha256 of the rendered prompt with an empty question."""
    return hashlib.sha256(render(question_messages("")).encode()).hexdigest()[:16]


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
