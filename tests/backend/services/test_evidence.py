"""The statistics against values that were computed by hand or by another road."""

import math

import pytest

from backend.services import evidence


def pairs(fixed: int, broken: int, same: int) -> tuple[list[bool], list[bool]]:
    before = [False] * fixed + [True] * broken + [True] * same
    after = [True] * fixed + [False] * broken + [True] * same
    return before, after


def test_mcnemar_is_the_sign_test_of_what_differs() -> None:
    assert evidence.mcnemar(5, 0) == pytest.approx(2 * 0.5**5)
    assert evidence.mcnemar(3, 3) == 1.0
    assert evidence.mcnemar(0, 0) == 1.0
    tail = sum(math.comb(12, k) for k in range(3)) / 2**12
    assert evidence.mcnemar(10, 2) == evidence.mcnemar(2, 10) == pytest.approx(2 * tail)


def test_interval_of_the_change_is_that_of_the_normal_law_where_there_are_many() -> None:
    found = evidence.change(*pairs(150, 50, 800))
    deviation = math.sqrt((0.2 - 0.1**2) / 1000)
    assert found.points == pytest.approx(10)
    assert found.low == pytest.approx(100 * (0.1 - 1.96 * deviation), abs=0.3)
    assert found.high == pytest.approx(100 * (0.1 + 1.96 * deviation), abs=0.3)
    assert found.smallest_detectable == pytest.approx(100 * 2.8016 * math.sqrt(0.2 / 1000), abs=1e-2)


@pytest.mark.parametrize(
    ("fixed", "broken", "same", "verdict"),
    [
        (20, 2, 78, "better"),
        (2, 20, 78, "worse"),
        (3, 1, 20, "too_few_questions"),
        (0, 0, 24, "too_few_questions"),
        (0, 0, 200, "no_difference"),
        (20, 22, 1277, "no_difference"),
    ],
)
def test_verdict_says_when_it_cannot_tell(fixed: int, broken: int, same: int, verdict: str) -> None:
    assert evidence.change(*pairs(fixed, broken, same)).verdict == verdict


def test_same_answers_give_the_same_interval() -> None:
    assert evidence.change(*pairs(7, 3, 30)) == evidence.change(*pairs(7, 3, 30))


def test_wilson_interval_never_leaves_0_to_1() -> None:
    assert evidence.interval(0, 24)[0] == 0.0
    assert evidence.interval(0, 24)[1] == pytest.approx(0.138, abs=1e-3)
    assert evidence.interval(24, 24)[1] == 1.0
