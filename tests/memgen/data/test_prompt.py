"""What a model is given for a question: zero-shot, asked to think first, or after worked examples."""

import pytest

from memgen.contract.asking import ZERO_SHOT, Asking
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import BUILT_IN
from memgen.contract.data_sets.wordproblems import WORDPROBLEMS
from memgen.contract.errors import BadInput
from memgen.data import load_questions
from memgen.data.draw import draw
from memgen.data.prompt import Prompt, make_prompt, prompt_hash, question_prompt
from memgen.data.questions import Question, make_question

LETTERS = WORDPROBLEMS.model_copy(update={"name": "letters", "prompt": "Name the letter. ", "answer": "choice"})
ROWS = [make_question("letters", f"What comes after {one}?", "", one) for one in "ABCDEFGH"]


def prompt_of(asking: Asking, questions: list[Question] = ROWS[:2], seed: int = 1) -> Prompt:
    return make_prompt(LETTERS, asking, questions, ROWS, seed)


@pytest.mark.parametrize("chosen", [*BUILT_IN, LETTERS], ids=lambda one: one.name)
def test_zero_shot_prompt_is_the_question_alone_and_keeps_its_hash(chosen: DataSet) -> None:
    prompt = Prompt(chosen)
    assert prompt.text("How many?") == question_prompt(chosen, "How many?")
    assert prompt.facts() == {"prompt_hash": prompt_hash(chosen)}


def test_chain_of_thought_ends_the_users_turn_with_the_request() -> None:
    prompt = prompt_of(Asking(step_by_step=True))
    assert prompt.text("Which?") == (
        "<|im_start|>user\nName the letter. Question: Which?\nLet's think step by step.\n<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_worked_examples_stand_in_front_as_turns_of_their_own() -> None:
    prompt = prompt_of(Asking(num_examples=2))
    first, second = prompt.examples
    turns = "".join(
        f"<|im_start|>user\nName the letter. Question: {one.question}\n<|im_end|>\n"
        f"<|im_start|>assistant\n{one.solution}<|im_end|>\n"
        for one in (first, second)
    )
    assert prompt.text("Which?") == turns + question_prompt(LETTERS, "Which?")


def test_each_style_has_a_hash_of_its_own_beside_that_of_the_zero_shot_prompt() -> None:
    facts = [
        prompt_of(asking, seed=seed).facts()
        for asking, seed in (
            (ZERO_SHOT, 1), (Asking(step_by_step=True), 1), (Asking(num_examples=2), 1), (Asking(num_examples=2), 2),
            (Asking(num_examples=3), 1),
        )
    ]  # fmt: skip
    assert len({one["prompt_hash"] for one in facts}) == 5
    assert {one["zero_shot_prompt_hash"] for one in facts[1:]} == {facts[0]["prompt_hash"]}
    assert [one.get("prompt_style") for one in facts] == [
        None, "chain of thought", "2 examples", "2 examples", "3 examples",
    ]  # fmt: skip
    assert facts[2]["worked_examples"] == [one.id for one in prompt_of(Asking(num_examples=2)).examples]


def test_examples_are_drawn_by_the_seed_and_never_from_what_is_evaluated() -> None:
    asking = Asking(num_examples=3)
    drawn = [one.id for one in prompt_of(asking).examples]
    assert drawn == [one.id for one in make_prompt(LETTERS, asking, ROWS[:2], ROWS[::-1], 1).examples]
    for seed in range(30):
        examples = prompt_of(asking, ROWS[:5], seed).examples
        assert {one.id for one in examples} == {one.id for one in ROWS[5:]}
    assert len({tuple(one.id for one in prompt_of(asking, seed=seed).examples) for seed in range(30)}) > 10


def test_more_examples_than_there_are_rows_left_is_refused_with_their_number() -> None:
    with pytest.raises(BadInput) as caught:
        prompt_of(Asking(num_examples=4), ROWS[:5])
    error = caught.value
    assert (error.code, error.field, error.value) == ("too_few_examples", "num_examples", "4")
    assert error.message.startswith("3 training questions of letters")


def test_draws_for_two_purposes_differ() -> None:
    rows = load_questions("wordproblems", "train")
    orders = [[one.id for one in draw(rows, [], seed=42, purpose=word)[:8]] for word in ("example", "latents")]
    assert not set(orders[0]) & set(orders[1])
