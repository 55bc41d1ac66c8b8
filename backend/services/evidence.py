"""Whether one setting answers better than another: intervals, the paired test, and when there is too little to tell.

Pure functions, numbers in, numbers out; scipy does the statistics, and is imported where it does, which takes a second.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from memgen.contract.intervals import CONFIDENCE, WORTH_KNOWING, wilson

ALPHA = 1 - CONFIDENCE
POWER = 0.8
RESAMPLES = 5000
NORMAL = NormalDist()

Verdict = Literal["better", "worse", "no_difference", "too_few_questions"]


@dataclass(frozen=True)
class Change:
    """One setting against another on the same questions; accuracies and changes in percentage points."""

    points: float
    low: float
    high: float
    p_value: float
    smallest_detectable: float | None
    verdict: Verdict


def interval(right: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of a share, `right` of `n`."""
    return wilson(right / n, n)


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided exact McNemar test: as many fixed as broken would be chance."""
    if fixed + broken == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(fixed, fixed + broken, 0.5).pvalue)


def smallest_detectable(fixed: int, broken: int, n: int) -> float | None:
    """Smallest change in points that `n` questions show with a power of 80 %, if as many answers differ as do here.

    Normal approximation of the paired test; None where no answer differs.
    """
    if fixed + broken == 0:
        return None
    z = NORMAL.inv_cdf(1 - ALPHA / 2) + NORMAL.inv_cdf(POWER)
    return float(min(100.0, 100 * z * math.sqrt((fixed + broken) / n) / math.sqrt(n)))


def mean(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of two values or more, with its 95 % interval by Student's t: of paired differences the paired t-test's.

    Returns:
        Mean, and the ends of the interval.
    """
    from scipy.stats import t

    numbers = np.asarray(values, dtype=float)
    middle = float(numbers.mean())
    half = float(t.ppf(1 - ALPHA / 2, len(numbers) - 1) * numbers.std(ddof=1) / math.sqrt(len(numbers)))
    return middle, middle - half, middle + half


def change(before: Sequence[bool], after: Sequence[bool]) -> Change:
    """Compare two settings question by question.

    Args:
        before: per question whether the first setting was right.
        after: the same of the second, in the same order; at least one question.
    """
    n = len(before)
    differences = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)  # (n,), each -1, 0 or 1
    fixed, broken = int((differences > 0).sum()), int((differences < 0).sum())
    points = 100 * float(differences.mean())
    low, high = _bootstrap(fixed, broken, n)
    p_value = mcnemar(fixed, broken)
    return Change(
        points, low, high, p_value, smallest_detectable(fixed, broken, n), _verdict(points, low, high, p_value, n)
    )


def _bootstrap(fixed: int, broken: int, n: int) -> tuple[float, float]:
    """95 % percentile interval of the mean difference over resampled questions, in points.

    Differences are -1, 0 or 1: a resample of questions is a draw of how many of each there are.
    """
    generator = np.random.default_rng(0)  # the same page shows the same interval
    counts = generator.multinomial(n, [fixed / n, broken / n, (n - fixed - broken) / n], size=RESAMPLES)
    means = 100 * (counts[:, 0] - counts[:, 1]) / n
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def _verdict(points: float, low: float, high: float, p_value: float, n: int) -> Verdict:
    if p_value < ALPHA:
        return "better" if points > 0 else "worse"
    # where no answer differs, the interval has no width; by the rule of three, up to 3/n of all questions may still
    # be answered differently
    widest = max(abs(low), abs(high), 100 * 3 / n)
    return "no_difference" if widest < WORTH_KNOWING else "too_few_questions"
