"""How far what was measured on few questions can be trusted."""

import math
from statistics import NormalDist

CONFIDENCE = 0.95
WORTH_KNOWING = 5.0  # points; a change in accuracy below this is one that nobody expects of any setting
FEWEST_APART = math.ceil(math.log2(2 / (1 - CONFIDENCE)))
"""Answers that must differ, all to the same side, before that is no chance: by the exact McNemar test, two-sided."""
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def wilson(share: float, n: float) -> tuple[float, float]:
    """95 % Wilson interval of a share, 0 to 1, of `n` questions; of none it is everything."""
    if n <= 0:
        return 0.0, 1.0
    middle = share + _Z * _Z / (2 * n)
    half = _Z * math.sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n))
    scale = 1 + _Z * _Z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
