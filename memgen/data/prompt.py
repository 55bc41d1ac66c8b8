"""The chat format of every stage (ChatML) and the prompt of a question; their hash is part of every result.

One character in the prompt moves accuracy by points, so nothing here depends on the model's own template. The
instruction is the data set's.
"""

import hashlib

from memgen.contract.answers import Message
from memgen.contract.data_sets.record import DataSet

START, END = "<|im_start|>", "<|im_end|>"


def question_messages(chosen: DataSet, question: str) -> list[Message]:
    """The single user turn that asks a question of a data set."""
    return [Message(role="user", content=f"{chosen.prompt}Question: {question}\n")]


def render(messages: list[Message]) -> str:
    """ChatML text of a conversation, ending where the assistant's answer starts."""
    turns = "".join(f"{START}{message.role}\n{message.content}{END}\n" for message in messages)
    return f"{turns}{START}assistant\n"


def question_prompt(chosen: DataSet, question: str) -> str:
    """The text that a model is given for a question."""
    return render(question_messages(chosen, question))


def answer_text(solution: str) -> str:
    """The text that a model is trained to answer with."""
    return f"{solution}{END}\n"


def prompt_hash(chosen: DataSet) -> str:
    """First 16 hex digits of the sha256 of the rendered prompt with an empty question."""
    return hashlib.sha256(question_prompt(chosen, "").encode()).hexdigest()[:16]
