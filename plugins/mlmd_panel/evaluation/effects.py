"""Splits the change of a metric between two runs into the model's part and the data's part.

Where the model that evaluation A judged is the baseline of evaluation B, the change is exactly

    B's model on B's data - A's model on A's data
      = (B's model - A's model, both on B's data) + (A's model on B's data - A's model on A's data)
      = model effect + data effect

The first is measured on the same examples, so that TFMA's interval of the difference is of pairs and narrow; the
second compares two samples.
"""

from __future__ import annotations

import dataclasses
import math

from mlmd_panel.evaluation import proportions
from mlmd_panel.evaluation.differences import (
    Difference,
    Estimate,
    ProportionDifference,
    TDifference,
    estimate,
    welch,
)
from mlmd_panel.evaluation.values import Metrics, SliceValues
from mlmd_panel.payloads.evaluation.metrics import MetricKey

PAIRED, WELCH, NEWCOMBE = "paired", "Welch", "Newcombe"
SAME_EXAMPLES, SAME_MODEL = "same examples", "same model"
MIN_EXAMPLES = 30

TOO_FEW = "too few examples"
NO_INTERVAL = "no interval recorded"
NO_ERROR = "standard error 0"
NOT_FINITE = "not a finite number"
# Of the same examples or model: there is nothing to test.
NONE = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Effect:
    """A change or a part of it.

    Attributes:
      value: Candidate minus baseline.
      method: paired, Welch, Newcombe; same examples or same model where there is none; "" where nothing can be said.
      difference: With its uncertainty; None where it is not known.
      why: Why it is not known.
    """

    value: float
    method: str
    difference: Difference | None
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Effects:
    """A change with its parts.

    Attributes:
      total: All of it.
      model: The model's part; None where the two runs do not tell.
      data: The data's part; None where the two runs do not tell.
    """

    total: Effect
    model: Effect | None
    data: Effect | None


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """How two evaluations relate.

    Attributes:
      is_baseline: The baseline's model is the one that the candidate's evaluation compares with.
      same_model: Both judged the same model.
      same_examples: Both were made on the same examples; None if not known.
      own: The baseline is the candidate's own: one evaluation, two models.
    """

    is_baseline: bool = False
    same_model: bool = False
    same_examples: bool | None = None
    own: bool = False


def effects(
    key: MetricKey, before: SliceValues, after: SliceValues, link: Link, min_examples: int = MIN_EXAMPLES
) -> Effects | None:
    """The change of a metric in a slice; None without two numbers.

    Args:
      key: The metric, which both have.
      before: The baseline's.
      after: The candidate's.
      link: How the two relate.
      min_examples: With fewer on either side nothing is said of a change.
    """
    first, second = estimate(before.judged[key]), estimate(after.judged[key])
    if first is None or second is None:
        return None
    few = any(
        part.examples is not None and part.examples < min_examples for part in (before.part, after.part)
    )
    total = _unpaired(key, before.judged, before, after.judged, after, first, second, few)
    if link.own:
        paired = _paired(key, after, second.value - first.value, few)
        return Effects(paired or total, paired or total, Effect(0.0, SAME_EXAMPLES, None, NONE))
    if link.same_model:
        return Effects(total, Effect(0.0, SAME_MODEL, None, NONE), total)
    middle = _estimate_of_baseline(key, after)
    if link.is_baseline and middle is not None:
        paired = _paired(key, after, second.value - middle.value, few)
        if link.same_examples:
            data = Effect(middle.value - first.value, SAME_EXAMPLES, None, NONE)
            whole = dataclasses.replace(paired, value=total.value) if paired else total
            return Effects(whole, paired or total, data)
        plain = _plain(key)
        data = _unpaired(key, before.judged, before, after.baseline, after, first, middle, few, plain)
        if paired is not None:
            return Effects(total, paired, data)
    if link.same_examples:
        return Effects(total, total, Effect(0.0, SAME_EXAMPLES, None, NONE))
    return Effects(total, None, None)


def _plain(key: MetricKey) -> MetricKey:
    return dataclasses.replace(key, model="") if key.model else key


def _estimate_of_baseline(key: MetricKey, after: SliceValues) -> Estimate | None:
    metric = after.baseline.get(_plain(key))
    return estimate(metric) if metric is not None else None


def _paired(key: MetricKey, after: SliceValues, value: float, few: bool) -> Effect | None:
    """The model effect with TFMA's own interval of it; None if TFMA measured no difference."""
    metric = after.changes.get(key)
    recorded = estimate(metric) if metric is not None else None
    if recorded is None:
        return None
    why = _why(few, (recorded,))
    if why:
        return Effect(value, PAIRED, None, why)
    if recorded.standard_error is None:
        return Effect(value, PAIRED, None, NO_INTERVAL)
    return Effect(value, PAIRED, TDifference(value, recorded.standard_error, recorded.degrees), "")


def _unpaired(
    key: MetricKey,
    metrics_before: Metrics,
    before: SliceValues,
    metrics_after: Metrics,
    after: SliceValues,
    first: Estimate,
    second: Estimate,
    few: bool,
    key_after: MetricKey | None = None,
) -> Effect:
    """The difference of two independent samples."""
    value = second.value - first.value
    why = _why(few, (first, second))
    if why == NO_INTERVAL:
        counted = proportions.counts(key, metrics_before, before.part.examples)
        recounted = proportions.counts(key_after or key, metrics_after, after.part.examples)
        if counted and recounted:
            found = ProportionDifference(*counted, *recounted)
            return Effect(value, NEWCOMBE, found, "")
    if why:
        return Effect(value, "", None, why)
    return Effect(value, WELCH, welch(first, second), "")


def _why(few: bool, estimates: tuple[Estimate, ...]) -> str:
    """Why estimates cannot be tested, or empty."""
    why = ""
    for one in estimates:
        if not math.isfinite(one.value):
            return NOT_FINITE
        if one.standard_error is None:
            why = NO_INTERVAL
        elif not (one.standard_error and math.isfinite(one.standard_error)):
            why = why or NO_ERROR
    return TOO_FEW if few else why
