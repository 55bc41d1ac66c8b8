"""The chat format of every stage (ChatML) and the prompt of a question; their hash is part of every result.

One character in the prompt moves accuracy by points, so nothing here depends on the model's own template. The
instruction is the data set's. What else an evaluation may put around its questions is its `Asking`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memgen.contract.answers import Message
from memgen.contract.asking import STEP_BY_STEP, ZERO_SHOT, Asking, too_few_examples
from memgen.contract.data_sets.record import DataSet
from memgen.data.draw import draw
from memgen.data.questions import Question

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


@dataclass(frozen=True)
class Prompt:
    """How a run puts the questions of a data set to a model; without more than the data set it is zero-shot."""

    chosen: DataSet
    asking: Asking = ZERO_SHOT
    examples: tuple[Question, ...] = ()

    def messages(self, question: str) -> list[Message]:
        """The turns of a prompt: each worked example as a question and its answer, then the question itself."""
        turns: list[Message] = []
        for example in self.examples:
            turns += question_messages(self.chosen, example.question)
            turns.append(Message(role="assistant", content=example.solution))
        (last,) = question_messages(self.chosen, question)
        more = STEP_BY_STEP if self.asking.step_by_step else ""
        return [*turns, Message(role="user", content=last.content + more)]

    def text(self, question: str) -> str:
        """The text that a model is given for a question."""
        return render(self.messages(question))

    def facts(self) -> dict[str, Any]:
        """What a run's environment says of its prompt.

        `prompt_hash` is that of what the model is given. Of a prompt with more than the question there is also that of
        the zero-shot prompt, by which evaluations of the same questions know each other.
        """
        facts: dict[str, Any] = {"prompt_hash": hashlib.sha256(self.text("").encode()).hexdigest()[:16]}
        if self.asking != ZERO_SHOT:
            facts |= {"prompt_style": self.asking.words, "zero_shot_prompt_hash": prompt_hash(self.chosen)}
        if self.examples:
            facts["worked_examples"] = [example.id for example in self.examples]
        return facts


def make_prompt(
    chosen: DataSet, asking: Asking, questions: Sequence[Question], training: Sequence[Question], seed: int
) -> Prompt:
    """The prompt of a run, its worked examples drawn by the seed.

    Args:
        chosen: the data set.
        asking: how the run asks.
        questions: what it is measured on; none of them becomes an example.
        training: rows that examples are drawn from.
        seed: of the run.

    Raises:
        BadInput: `too_few_examples`.
    """
    examples = draw(training, questions, seed=seed, purpose="example") if asking.num_examples else []
    if len(examples) < asking.num_examples:
        raise too_few_examples(chosen.name, len(examples), asking.num_examples)
    return Prompt(chosen, asking, tuple(examples[: asking.num_examples]))
