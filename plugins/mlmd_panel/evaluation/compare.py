"""Compares two evaluations, the baseline (`base`) and the candidate (`other`), by slice and metric.

It is plain arithmetic and does not tell whether a change is due to chance.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any

from mlmd_panel.evaluation.direction import HIGHER, direction
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metric_names import metric_names
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice

BOTH, ONLY_BASE, ONLY_OTHER = "both", "base", "other"
BETTER, WORSE = "better", "worse"
MAX_ROWS = 50_000


@dataclasses.dataclass(frozen=True)
class Side:
    """A metric in one of the two evaluations.

    Attributes:
      value: A number; or text or a structure, which are only checked for equality.
      interval: Or None.
      examples: Number of examples in the slice, or None.
      weighted_examples: Sum of their weights, or None.
    """

    value: Any
    interval: Interval | None
    examples: float | None
    weighted_examples: float | None

    @property
    def number(self) -> float | None:
        """The value when it is a number."""
        return self.value if isinstance(self.value, (int, float)) else None


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric of a candidate model in a slice.

    Attributes:
      slice: The slice.
      metric: Its name, such as `auc`, or `auc of dnn, weighted`.
      base: The baseline's; None if only the candidate has it.
      other: The candidate's; None if only the baseline has it.
      sides: Which of the two have the metric in the slice: both, base or other.
      change: Candidate minus baseline; None without two numbers.
      relative: Change divided by the baseline's absolute value; None without two numbers, or if that is 0.
      better: Whether `higher` or `lower` is better; None if not known.
      outcome: better, worse, or None if it did not change or is not known.
      changed: The values differ, or one is missing.
    """

    slice: Slice
    metric: str
    base: Side | None
    other: Side | None
    sides: str
    change: float | None
    relative: float | None
    better: str | None
    outcome: str | None
    changed: bool


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two evaluations.

    Attributes:
      rows: By slice, Overall first, then by metric.
      slices: All slices of the two, each once, in that order.
      only_base: Slices that only the baseline has.
      only_other: Slices that only the candidate has.
      weighting_differs: Names of metrics that are not compared, as their example weighting is not the same.
      cut: There are more rows, or one of the evaluations was cut.
    """

    rows: tuple[Row, ...]
    slices: tuple[Slice, ...]
    only_base: tuple[Slice, ...]
    only_other: tuple[Slice, ...]
    weighting_differs: tuple[str, ...]
    cut: bool


def names(base: EvaluationPayload, other: EvaluationPayload) -> dict[MetricKey, str]:
    """Names of all metrics of the candidate models in the two evaluations, sorted by name.

    A metric is the same in both if its key is equal, including model, output, sub key and weighting. The name of an
    evaluation's only candidate model does not matter, unless the other evaluation has several.
    """
    models = _models(base, other)
    keys = {
        _renamed(key, model)
        for evaluation, model in zip((base, other), models, strict=True)
        for key in evaluation.candidate_keys
    }
    return dict(sorted(metric_names(sorted(keys, key=repr)).items(), key=lambda pair: pair[1]))


def compare(
    base: EvaluationPayload,
    other: EvaluationPayload,
    metrics: Collection[str] | None = None,
    slices: str = "",
) -> Comparison:
    """Compares the candidate models of two evaluations.

    Args:
      base: The baseline.
      other: The candidate.
      metrics: Names of the metrics to compare; None for all.
      slices: Part of the names of the slices to compare.
    """
    parts = [{part.slice: part for part in evaluation.slices} for evaluation in (base, other)]
    found = sorted({*parts[0], *parts[1]}, key=lambda one: one.sort_key)
    models, named = _models(base, other), names(base, other)
    wanted = {key: name for key, name in named.items() if metrics is None or name in metrics}
    better = {key: direction(key, base.config, other.config) for key in wanted}
    rows: list[Row] = []
    cut = base.cut or other.cut
    for slice_ in found:
        if slices and slices.lower() not in slice_.name.lower():
            continue
        pair = [parts[0].get(slice_), parts[1].get(slice_)]
        measured = [_metrics(base, pair[0], models[0]), _metrics(other, pair[1], models[1])]
        for key, name in wanted.items():
            if key not in measured[0] and key not in measured[1]:
                continue
            if len(rows) >= MAX_ROWS:
                cut = True
                break
            sides = [_side(measured[side], key, pair[side]) for side in (0, 1)]
            rows.append(_row(slice_, name, sides[0], sides[1], better[key]))
    return Comparison(
        tuple(rows),
        tuple(found),
        tuple(one for one in found if one not in parts[1]),
        tuple(one for one in found if one not in parts[0]),
        _weighting_differs(base, other, models),
        cut,
    )


def _models(base: EvaluationPayload, other: EvaluationPayload) -> tuple[str, str]:
    """What each side's keys without a model's name mean: "", or the model of that name among several of the other."""
    sides = []
    for one, two in ((base, other), (other, base)):
        name = one.sole or next((model.name for model in one.config.models if not model.baseline), "")
        alone, several = len(one.candidates) == 1, len(two.candidates) > 1
        sides.append(name if alone and several and name in two.candidates else "")
    return sides[0], sides[1]


def _renamed(key: MetricKey, model: str) -> MetricKey:
    return dataclasses.replace(key, model=model) if model and not key.model else key


def _metrics(evaluation: EvaluationPayload, part: SliceMetrics | None, model: str) -> dict[MetricKey, Metric]:
    found = evaluation.of_candidates(part) if part else {}
    return {_renamed(key, model): metric for key, metric in found.items()} if model else found


def _weighting_differs(
    base: EvaluationPayload, other: EvaluationPayload, models: tuple[str, str]
) -> tuple[str, ...]:
    keys = [
        {_renamed(key, model) for key in one.candidate_keys}
        for one, model in zip((base, other), models, strict=True)
    ]
    either = [{dataclasses.replace(key, weighted=None) for key in side} for side in keys]
    alike = {dataclasses.replace(key, weighted=None) for key in keys[0] & keys[1]}
    return tuple(sorted(metric_names((either[0] & either[1]) - alike).values()))


def _side(metrics: dict[MetricKey, Metric], key: MetricKey, part: SliceMetrics | None) -> Side | None:
    metric = metrics.get(key)
    if metric is None or part is None:
        return None
    number = metric.number
    value = metric.value if number is None else number
    return Side(value, metric.interval, part.examples, part.weighted_examples)


def _row(slice_: Slice, label: str, base: Side | None, other: Side | None, better: str | None) -> Row:
    sides = BOTH if base and other else ONLY_BASE if base else ONLY_OTHER
    change, relative = _change(base, other)
    outcome = None
    if better and change:  # NaN is true, and compares as neither
        risen, fallen = change > 0, change < 0
        good, bad = (risen, fallen) if better == HIGHER else (fallen, risen)
        outcome = BETTER if good else WORSE if bad else None
    changed = base is None or other is None or not _same(base.value, other.value)
    return Row(slice_, label, base, other, sides, change, relative, better, outcome, changed)


def _change(base: Side | None, other: Side | None) -> tuple[float | None, float | None]:
    if base is None or other is None or base.number is None or other.number is None:
        return None, None
    change = float(other.number) - float(base.number)
    return change, (change / abs(base.number) if base.number else None)


def _same(one: Any, two: Any) -> bool:
    """Equal; NaN is equal to NaN."""
    if isinstance(one, float) and isinstance(two, float) and math.isnan(one) and math.isnan(two):
        return True
    return bool(one == two)
