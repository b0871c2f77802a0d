"""Judges bounds by the intervals of what they bound: a bound is met or missed only where there is evidence of it.

TFMA's validator compares values alone, so that chance rejects models, and blesses them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from mlmd_panel.evaluation.distributions import quantile, whole_degrees
from mlmd_panel.evaluation.effects import MIN_EXAMPLES
from mlmd_panel.payloads.evaluation.metrics import Interval
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.thresholds import Check

PASSED, FAILED, INCONCLUSIVE = "passed", "failed", "inconclusive"
LEVEL = 0.95
SPANS = "The interval spans the bound."


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the interval says of one bound.

    Attributes:
      outcome: passed or failed where the interval is wholly on one side of the bound, else inconclusive.
      lower: Lower end of the interval of what is compared; None without one.
      upper: Upper end.
      examples: Number of examples of the slice; None where they were not counted.
      why: Why it is inconclusive, or decided without an interval; else empty.
    """

    outcome: str
    lower: float | None
    upper: float | None
    examples: float | None
    why: str = ""


def is_least(check: Check) -> bool:
    """Whether the bound is the least value that is good, else the greatest."""
    return check.bound == "lower" or (check.bound != "upper" and check.direction.startswith("higher"))


def evidence(check: Check, part: SliceMetrics | None, baseline: str | None) -> Evidence:
    """Judges a bound.

    A relative change has the interval of the change, divided by the baseline's value as it was measured.

    Args:
      check: The bound with TFMA's outcome.
      part: The metrics of its slice; None where they are not known.
      baseline: Name of the baseline model, or None.
    """
    examples = part.examples if part else None
    settled = _without_interval(check)
    if settled is not None:
        return Evidence(settled[0], None, None, examples, settled[1])
    lower, upper, why = _interval(check, part, baseline)
    if examples is not None and examples < MIN_EXAMPLES:
        count = f"{examples:,.6g} example{'' if examples == 1 else 's'}"
        why = f"The slice has {count}, fewer than {MIN_EXAMPLES}."
    if why or lower is None or upper is None or check.limit is None:
        return Evidence(INCONCLUSIVE, lower, upper, examples, why)
    good, bad = (
        (lower >= check.limit, upper < check.limit)
        if is_least(check)
        else (upper <= check.limit, lower > check.limit)
    )
    outcome = PASSED if good else FAILED if bad else INCONCLUSIVE
    return Evidence(outcome, lower, upper, examples, SPANS if outcome == INCONCLUSIVE else "")


def together(found: Iterable[Evidence]) -> str:
    """The outcome of several bounds: failed if one is, else inconclusive if one is."""
    outcomes = {one.outcome for one in found}
    return next((one for one in (FAILED, INCONCLUSIVE) if one in outcomes), PASSED)


def _without_interval(check: Check) -> tuple[str, str] | None:
    """Outcome and reason where no interval matters; None where one does."""
    if check.bound == "" and check.passed is not None:
        return (PASSED if check.passed else FAILED), check.message or "There is no bound to miss."
    if check.value is None or check.limit is None or check.margin is None:
        # The metric is missing, or the threshold means nothing: no chance is in that.
        return (FAILED if check.passed is False else INCONCLUSIVE), check.message
    if math.isnan(check.limit) or (check.passed is False and not math.isfinite(check.value)):
        return FAILED, f"The {'bound' if math.isnan(check.limit) else 'value'} is not a finite number."
    if math.isinf(check.limit):
        return (
            (PASSED, "No value misses this bound.")
            if check.passed
            else (FAILED, "No value meets this bound.")
        )
    return None


def _interval(
    check: Check, part: SliceMetrics | None, baseline: str | None
) -> tuple[float | None, float | None, str]:
    """Ends of the interval of what is compared, and why it does not help."""
    metric = part.metric(check.key) if part else None
    ends = bounds_of(metric.interval, metric.number) if metric else None
    if ends is None:
        return None, None, "No interval was recorded."
    lower, upper = ends
    if check.bound == "relative" and part is not None and baseline is not None:
        base = part.metric(dataclasses.replace(check.key, model=baseline, is_diff=False))
        divisor = base.number if base else None
        if not divisor:
            return None, None, "The baseline's value is not known."
        lower, upper = sorted((lower / divisor, upper / divisor))
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return lower, upper, "The interval is not of finite numbers."
    if lower >= upper:
        return lower, upper, "The standard error is 0, which says nothing."
    return lower, upper, ""


def bounds_of(interval: Interval | None, value: float | None) -> tuple[float, float] | None:
    """Ends of a metric's interval at 95 %; None without one.

    Where TFMA wrote a standard error without ends they are those of its t distribution.
    """
    if interval is None:
        return None
    if isinstance(interval.lower, (int, float)) and isinstance(interval.upper, (int, float)):
        return float(interval.lower), float(interval.upper)
    if value is None or not isinstance(interval.standard_error, (int, float)):
        return None
    degrees = math.inf if interval.degrees_of_freedom is None else interval.degrees_of_freedom
    reach = quantile(LEVEL, whole_degrees(degrees)) * interval.standard_error
    return value - reach, value + reach
