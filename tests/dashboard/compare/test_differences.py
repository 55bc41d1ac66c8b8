"""Where two answers differ: signs around the words that do, the first marked, and the texts otherwise as they are."""

import time

import pytest

from dashboard.compare.differences import COMPARED_WORDS, marked_pair


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("so 3 hens", "so 4 hens", ("so ▶⟦3⟧ hens", "so ▶⟦4⟧ hens")),
        ("a b  c\n d", "a x  c\n e", ("a ▶⟦b⟧  c\n ⟦d⟧", "a ▶⟦x⟧  c\n ⟦e⟧")),
        ("a b", "a new b", ("a ▶b", "a ▶⟦new⟧ b")),
        ("a b", "a b and more", ("a b▶", "a b ▶⟦and more⟧")),
        ("", "x", ("▶", "▶⟦x⟧")),
        ("the same", "the same", ("the same", "the same")),
        ("white  space", "white space", ("white  space", "white space")),
        ("1 two words 3", "1 3", ("1 ▶⟦two words⟧ 3", "1 ▶3")),
        ("a b c d", "a x c y d", ("a ▶⟦b⟧ c d", "a ▶⟦x⟧ c ⟦y⟧ d")),
    ],
)
def test_words_that_differ_stand_between_signs(before: str, after: str, marked: tuple[str, str]) -> None:
    assert marked_pair(before, after) == marked
    for text, one in zip((before, after), marked, strict=True):
        assert one.translate(str.maketrans("", "", "▶⟦⟧")) == text


def test_long_answers_are_compared_up_to_a_bound_after_their_first_difference() -> None:
    alike = "word " * 5000
    before = alike + " ".join(f"a{n}" for n in range(5000))
    after = alike + " ".join(f"b{n}" for n in range(5000))
    began = time.perf_counter()
    first, second = marked_pair(before, after)
    assert time.perf_counter() - began < 2
    assert first.startswith(f"{alike}▶⟦a0 ")
    assert f"a{COMPARED_WORDS - 1}⟧ a{COMPARED_WORDS} " in first
    assert second.count("⟦") == 1
