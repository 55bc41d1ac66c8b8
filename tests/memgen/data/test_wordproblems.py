import hashlib
import json
import re
from collections import Counter
from fractions import Fraction

import pytest

from memgen.contract.errors import BadInput
from memgen.data import load_questions
from memgen.data.wordproblem_templates import HE, NOUNS, ONE_STEP, SHE, TEMPLATES, TWO_STEPS, Step, Steps, Template
from memgen.data.wordproblems import Count, WordProblem, generate, load_wordproblems
from memgen.scoring import score

DIGEST = "85c07e2b56211ae2042d05985b610ed9180af312f13fbd81e5b9271e9fa6404c"
CALCULATION = re.compile(r"([0-9]+) ([-+*/]) ([0-9]+) = \$?<<([0-9]+)([-+*/])([0-9]+)=([0-9]+)>>([0-9]+)")
OPERATIONS = {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__, "/": Fraction.__truediv__}


@pytest.fixture(scope="module")
def rows() -> list[WordProblem]:
    train, test = generate()
    assert (len(train), len(test)) == (4000, 1000)
    return train + test


def test_each_answer_follows_from_its_annotations(rows: list[WordProblem]) -> None:
    for row in rows:
        *lines, last = row.answer.split("\n")
        value = None
        for line in lines:
            (found,) = CALCULATION.finditer(line)
            left, sign, right, *noted, result, shown = found.groups()
            assert [left, sign, right] == noted and result == shown
            value = OPERATIONS[sign](Fraction(left), Fraction(right))
            assert value == Fraction(result) and value > 0 and value.denominator == 1
        assert last == f"#### {value}"


def test_each_number_of_the_rationale_comes_from_the_question_or_the_step_before(rows: list[WordProblem]) -> None:
    for row in rows:
        known = set(re.findall(r"[0-9]+", row.question))
        assert all(2 <= int(number) <= 50 for number in known)
        for found in CALCULATION.finditer(row.answer):
            assert {found[1], found[3]} <= known, row
            known.add(found[7])


def test_questions_and_ids_are_unique_over_all_splits(rows: list[WordProblem]) -> None:
    assert len({row.question for row in rows}) == 5000
    splits = [load_wordproblems(split) for split in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [3600, 400, 1000]
    ids = {question.id for split in splits for question in split}
    assert len(ids) == 5000
    assert all(re.fullmatch(r"wordproblems:[0-9a-f]{16}", one) for one in ids)


def test_train_of_one_seed_and_test_of_another_have_no_question_in_common() -> None:
    # Few numbers and one template kind: the same questions come up again and again.
    train = {row.question for row in generate(1, train_size=3000, test_size=10, steps=1, max_number=10)[0]}
    test = {row.question for row in generate(2, train_size=10, test_size=700, steps=1, max_number=10)[1]}
    assert len(test) == 700
    assert not train & test


def test_all_templates_occur_about_equally_often(rows: list[WordProblem]) -> None:
    counts = Counter(row.template for row in rows)
    assert set(counts) == {template.name for template in ONE_STEP + TWO_STEPS}
    assert len(counts) == len(ONE_STEP) + len(TWO_STEPS)
    assert min(counts.values()) > 100
    assert min(len(ONE_STEP), len(TWO_STEPS)) >= 12


@pytest.mark.parametrize("steps", [1, 2])
def test_steps_choose_the_length_of_the_rationale(steps: Steps) -> None:
    train, test = generate(5, train_size=300, test_size=50, steps=steps)
    assert {row.answer.count("\n") for row in train + test} == {steps}
    assert {row.template for row in train} == {template.name for template in TEMPLATES[steps]}


@pytest.mark.parametrize("max_number", [10, 15, 1000])
def test_numbers_of_a_question_stay_within_the_largest(max_number: int) -> None:
    train, _ = generate(5, train_size=500, test_size=20, max_number=max_number)
    largest = max(int(number) for row in train for number in re.findall(r"[0-9]+", row.question))
    assert 0.9 * max_number <= largest <= max_number


def test_easy_problems_take_one_step_and_small_numbers() -> None:
    found = load_questions("wordproblems_easy", "train")
    assert (len(found), len(load_questions("wordproblems_easy", "test"))) == (3600, 1000)
    assert all(question.id.startswith("wordproblems_easy:") for question in found)
    assert all(question.solution.count("<<") == 1 for question in found)
    assert max(int(number) for question in found for number in re.findall(r"[0-9]+", question.question)) == 10
    # what is known comes first, so that there are places for latents in front of the calculation
    for question in found:
        known, calculation = question.solution.split("\n")
        assert "," in known and known.endswith(".") and "<<" in calculation
        assert set(re.findall(r"[0-9]+", known)) == set(re.findall(r"[0-9]+", question.question))


def test_names_and_pronouns_agree() -> None:
    assert not set(SHE) & set(HE)
    for row in generate(3, train_size=1000, test_size=10)[0]:
        words = set(re.findall(r"[A-Za-z]+", row.question + row.answer))
        if words & {"he", "He", "his"}:
            assert words & set(HE), row
        if words & {"she", "She", "her"}:
            assert words & set(SHE), row


def test_same_seed_gives_the_same_bytes_as_ever() -> None:
    train, test = generate(42)
    text = json.dumps([[row.template, row.question, row.answer] for row in train + test])
    assert hashlib.sha256(text.encode()).hexdigest() == DIGEST
    assert generate(43)[0] != train


def test_test_questions_are_the_same_for_every_seed_and_the_validation_split_is_not() -> None:
    assert load_wordproblems("test", 1) == load_wordproblems("test", 2)
    assert load_wordproblems("validation", 1) != load_wordproblems("validation", 2)
    assert load_questions("wordproblems", "train", seed=3, limit=7) == load_wordproblems("train", 3)[:7]


def test_each_solution_scores_full_against_itself() -> None:
    for question in load_wordproblems("train") + load_wordproblems("test"):
        assert score(question.solution, question.solution) == {
            "accuracy": 1.0,
            "accuracy_strict": 1.0,
            "compute_reward": 1.0,
            "format_ok": 1.0,
        }
        assert question.solution.endswith(f".\\boxed{{{question.answer}}}")


def test_counts_and_nouns_agree_in_number(rows: list[WordProblem]) -> None:
    assert [f"{Count(n):box|boxes}" for n in (1, 2, 11)] == ["1 box", "2 boxes", "11 boxes"]
    nouns = {noun for choices in NOUNS.values() for noun in choices}
    singular, plural = {noun.one for noun in nouns}, {noun.many for noun in nouns}
    assert not singular & plural
    for row in rows:
        for number, noun in re.findall(r"\b([0-9]+) ([a-z]+)\b", row.question + "\n" + row.answer):
            assert noun not in (plural if number == "1" else singular), row


def test_texts_have_no_gap_left_and_end_as_sentences(rows: list[WordProblem]) -> None:
    for row in rows:
        assert not re.search(r"[{}|_]|  ", row.question + row.answer), row
        assert row.question.endswith("?"), row
        assert all(line.endswith(".") for line in row.answer.split("\n")[:-1])


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(BadInput) as refusal:
        generate(1, max_number=9)
    assert refusal.value.code == "max_number_too_small"


def test_more_rows_than_the_parameters_allow_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    only = Template("only", "What is {m} + {n}?", (Step("x", "m + n", "It is {work}{x}."),))
    monkeypatch.setitem(TEMPLATES, 1, (only,))
    with pytest.raises(BadInput) as refusal:
        generate(1, train_size=150, test_size=0, steps=1)
    assert refusal.value.code == "too_few_word_problems"
