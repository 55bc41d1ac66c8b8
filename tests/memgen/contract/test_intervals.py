"""The interval of a share is that of scipy."""

import pytest
from scipy import stats

from memgen.contract.intervals import wilson


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 24), (1, 24), (12, 24), (24, 24), (752, 1319)])
def test_interval_is_wilsons(right: int, n: int) -> None:
    expected = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_no_questions_nothing_is_known() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)
