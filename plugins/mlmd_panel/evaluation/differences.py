"""Differences of two estimates, with the intervals and p-values that belong to them."""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist
from typing import Protocol

from mlmd_panel.evaluation.distributions import p_value, quantile, whole_degrees
from mlmd_panel.payloads.evaluation.metrics import Metric

POWER = 0.8
# Of an interval whose standard error TFMA did not write.
_TFMA_LEVEL = 0.95
# Standard errors at which a p-value is 0 for all that matters.
_FAR = 40.0
_NORMAL = NormalDist()


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """A metric as it was measured.

    Attributes:
      value: The value; may be NaN or infinite.
      standard_error: TFMA's; None where it recorded none.
      degrees: Degrees of freedom of TFMA's t distribution; infinite where it wrote bounds only.
    """

    value: float
    standard_error: float | None
    degrees: float


class Difference(Protocol):
    """An uncertain difference, candidate minus baseline."""

    @property
    def value(self) -> float:
        """The difference itself."""

    @property
    def p_value(self) -> float:
        """Two-sided, of no difference."""

    def interval(self, level: float) -> tuple[float, float]:
        """Bounds of the confidence interval at a level such as 0.95."""

    def detectable(self, level: float) -> float:
        """The smallest true difference that a test at this level finds with a probability of 80 %."""


@dataclasses.dataclass(frozen=True, slots=True)
class TDifference:
    """A difference with a standard error, of Student's t distribution.

    Attributes:
      value: The difference.
      standard_error: More than 0.
      degrees: Degrees of freedom.
    """

    value: float
    standard_error: float
    degrees: float

    @property
    def p_value(self) -> float:
        """Two-sided, of no difference."""
        return p_value(self.value / self.standard_error, self.degrees)

    def interval(self, level: float) -> tuple[float, float]:
        """Bounds of the confidence interval."""
        reach = quantile(level, whole_degrees(self.degrees)) * self.standard_error
        return self.value - reach, self.value + reach

    def detectable(self, level: float) -> float:
        """The smallest true difference that a test at this level finds with a probability of 80 %."""
        whole = whole_degrees(self.degrees)
        # One-sided 80 % is the two-sided quantile at 60 %.
        return (quantile(level, whole) + quantile(2 * POWER - 1, whole)) * self.standard_error


@dataclasses.dataclass(frozen=True, slots=True)
class ProportionDifference:
    """A difference of two independent proportions, by their counts.

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions, method 10: from
    Wilson's intervals of the two. It is defined for 0 and for all.

    Attributes:
      before: How many of the baseline's.
      of_before: All of the baseline's.
      after: How many of the candidate's.
      of_after: All of the candidate's.
    """

    before: float
    of_before: float
    after: float
    of_after: float

    @property
    def value(self) -> float:
        """The difference of the proportions."""
        return self.after / self.of_after - self.before / self.of_before

    @property
    def p_value(self) -> float:
        """The level at which an end of the interval is 0."""
        low, high = 0.0, 1.0
        while not self._reaches_zero(high) and high < _FAR:
            low, high = high, 2 * high
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if self._reaches_zero(middle) else (middle, high)
        return math.erfc(low / math.sqrt(2))

    def interval(self, level: float) -> tuple[float, float]:
        """Bounds of the confidence interval."""
        return self._ends(quantile(level, whole_degrees(math.inf)))

    def detectable(self, level: float) -> float:
        """The smallest true difference that a test at this level finds with a probability of 80 %, about."""
        errors = quantile(level, whole_degrees(math.inf))
        low, high = self._ends(errors)
        return max(self.value - low, high - self.value) * (1 + _NORMAL.inv_cdf(POWER) / errors)

    def _reaches_zero(self, errors: float) -> bool:
        low, high = self._ends(errors)
        return low <= 0 <= high

    def _ends(self, errors: float) -> tuple[float, float]:
        before, after = self.before / self.of_before, self.after / self.of_after
        low_before, high_before = _wilson(before, self.of_before, errors)
        low_after, high_after = _wilson(after, self.of_after, errors)
        change = after - before
        low = change - math.hypot(after - low_after, high_before - before)
        return low, change + math.hypot(high_after - after, before - low_before)


def _wilson(share: float, count: float, errors: float) -> tuple[float, float]:
    """Wilson's interval of a proportion, `errors` standard errors to each side."""
    square = errors * errors / count
    middle = share + square / 2
    reach = errors * math.sqrt(share * (1 - share) / count + square / 4 / count)
    low, high = (middle - reach) / (1 + square), (middle + reach) / (1 + square)
    return (0.0 if share == 0 else low), (1.0 if share == 1 else high)


def estimate(metric: Metric) -> Estimate | None:
    """A metric as an estimate; None if it is not one number."""
    value = metric.number
    if value is None:
        return None
    interval = metric.interval
    if interval is None:
        return Estimate(float(value), None, math.inf)
    if isinstance(interval.standard_error, (int, float)):
        degrees = interval.degrees_of_freedom
        return Estimate(
            float(value), float(interval.standard_error), math.inf if degrees is None else degrees
        )
    if isinstance(interval.lower, (int, float)) and isinstance(interval.upper, (int, float)):
        reach = (interval.upper - interval.lower) / 2
        return Estimate(float(value), reach / quantile(_TFMA_LEVEL, whole_degrees(math.inf)), math.inf)
    return Estimate(float(value), None, math.inf)


def welch(before: Estimate, after: Estimate) -> TDifference | None:
    """The difference of two independent estimates; None without two standard errors of more than 0.

    Source: Welch (1947); the degrees of freedom are Satterthwaite's.
    """
    if not before.standard_error or not after.standard_error:
        return None
    first, second = before.standard_error**2, after.standard_error**2
    both = first + second
    if not (math.isfinite(both) and both > 0):
        return None
    degrees = both * both / (first * first / before.degrees + second * second / after.degrees or math.nan)
    return TDifference(
        after.value - before.value, math.sqrt(both), math.inf if math.isnan(degrees) else degrees
    )
