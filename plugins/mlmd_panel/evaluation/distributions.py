"""Student's t and the normal distribution, as far as tests of differences need them.

scipy has both, but its import would cost the API server 60 MB. Degrees of freedom are rounded down to a whole number,
as printed tables do: intervals become a little wider, never narrower, and the distribution has a closed form.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
# Beyond, the t distribution is the normal one to three digits; the closed form has a term for every other degree.
MAX_DEGREES = 500
# Less cannot be told from 0.
_LEAST = 1e-16


def p_value(statistic: float, degrees: float) -> float:
    """Two-sided: how probable a statistic at least as far from 0 is by chance.

    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.

    Args:
      statistic: Of Student's t distribution, in standard errors.
      degrees: Degrees of freedom, at least 1; infinite for the normal distribution.
    """
    if math.isnan(statistic):
        return math.nan
    if degrees > MAX_DEGREES:
        return math.erfc(abs(statistic) / math.sqrt(2))
    whole = max(int(degrees), 1)
    angle = math.atan2(abs(statistic), math.sqrt(whole))
    sine, cosine = math.sin(angle), math.cos(angle)
    term = cosine if whole % 2 else 1.0
    total = 0.0 if whole == 1 else term
    for k in range(2 + whole % 2, whole - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    inside = (angle + sine * total) * 2 / math.pi if whole % 2 else sine * total
    # The closed form is a difference of numbers close to 1; far out its digits are used up.
    return max(1 - inside, _LEAST) if math.isfinite(statistic) else 0.0


@lru_cache(maxsize=4096)
def quantile(level: float, degrees: int) -> float:
    """How many standard errors an interval reaches to each side.

    Args:
      level: Level of the interval, such as 0.95.
      degrees: Degrees of freedom; more than MAX_DEGREES for the normal distribution.
    """
    outside = max(1 - level, _LEAST)  # of many comparisons the corrected level of a high one is 1
    if degrees > MAX_DEGREES:
        return -_NORMAL.inv_cdf(outside / 2)
    low, high = 0.0, 1.0
    while p_value(high, degrees) > outside and high < 1e9:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if p_value(middle, degrees) > outside:
            low = middle
        else:
            high = middle
    return high


def whole_degrees(degrees: float) -> int:
    """Degrees of freedom as `quantile` takes them."""
    return MAX_DEGREES + 1 if degrees > MAX_DEGREES else max(int(degrees), 1)
