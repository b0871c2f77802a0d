"""Corrects for many comparisons at once, so that chance alone is seldom called a change."""

from __future__ import annotations

from collections.abc import Sequence


def corrected_level(p_values: Sequence[float], level: float) -> float:
    """The level of each single interval at which it excludes no change exactly if Benjamini and Hochberg reject it.

    They reject the k smallest of m p-values, k as large as possible, that are at most k/m of the error allowed; these
    are the intervals at 1 - error * k/m that exclude 0, and at k = 1 if none is rejected. Such intervals are always
    defined; of those selected the share that miss the truth is at most the error.

    Sources: Benjamini and Hochberg (1995), Controlling the false discovery rate; Benjamini and Yekutieli (2005), False
    discovery rate-adjusted multiple confidence intervals for selected parameters.

    Args:
      p_values: P-values of all comparisons that are corrected together.
      level: Level of one interval without correction, such as 0.95.
    """
    count = len(p_values)
    if not count:
        return level
    error = 1 - level
    rejected = max(
        (place for place, p in enumerate(sorted(p_values), 1) if p <= error * place / count), default=0
    )
    return 1 - error * max(rejected, 1) / count
