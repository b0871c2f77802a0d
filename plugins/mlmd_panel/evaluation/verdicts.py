"""Says of each change whether it is real: better, worse, unchanged, or what cannot be told and why."""

from __future__ import annotations

from mlmd_panel.evaluation.direction import HIGHER, LOWER

WORSE, SUSPECT, BETTER, UNCHANGED = "worse", "suspect", "better", "unchanged"
DIFFERENT, INCONCLUSIVE = "different", "inconclusive"
ONLY_BASELINE, ONLY_CANDIDATE = "only in the baseline", "only in the candidate"
# The most telling first.
ORDER = (
    WORSE,
    SUSPECT,
    BETTER,
    ONLY_BASELINE,
    ONLY_CANDIDATE,
    DIFFERENT,
    INCONCLUSIVE,
    UNCHANGED,
)

SPANS_ZERO = "interval spans 0"
NOT_CORRECTED = "worse before the correction for many comparisons, not after"
WITHIN_ALLOWED = "interval within the allowed change"
SAME_VALUES = "same evaluation"
NO_DIRECTION = "whether higher or lower is better is not known"

Bounds = tuple[float, float]


def verdict(
    interval: Bounds, corrected: Bounds, better: str | None, allowed: float | None
) -> tuple[str, str]:
    """The verdict on a change, and why where it does not speak for itself.

    Args:
      interval: Confidence interval of the change, without correction.
      corrected: Interval at the level that the correction for many comparisons asks.
      better: `higher`, `lower` or None if not known.
      allowed: How much worse the metric may get, 0 or more; None without a threshold on the change. A change that is
        not better is unchanged if the interval lies within it to both sides: two one-sided tests (Schuirmann 1987),
        each at half of the error of the interval.
    """
    within = allowed is not None and -allowed <= interval[0] and interval[1] <= allowed
    sign = {HIGHER: 1, LOWER: -1}.get(better or "", 0)
    worst, best = sorted((sign * corrected[0], sign * corrected[1]))
    if worst > 0:
        return BETTER, ""
    if within:
        return UNCHANGED, WITHIN_ALLOWED
    if best < 0:
        return WORSE, ""
    if better is None:
        excludes = corrected[0] > 0 or corrected[1] < 0
        return (DIFFERENT, NO_DIRECTION) if excludes else (INCONCLUSIVE, SPANS_ZERO)
    if max(sign * interval[0], sign * interval[1]) < 0:
        return SUSPECT, NOT_CORRECTED
    return INCONCLUSIVE, SPANS_ZERO
