"""Two evaluations beside each other: slice by slice, metric by metric.

Plain arithmetic: nothing here says whether a change is more than chance.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from mlmd_panel.metric_direction import HIGHER, direction
from mlmd_panel.payloads.evaluation import EvaluationPayload, SliceMetrics
from mlmd_panel.payloads.metrics import Interval, Metric
from mlmd_panel.payloads.slices import Slice

BOTH, ONLY_BASE, ONLY_OTHER = "both", "base", "other"
BETTER, WORSE = "better", "worse"
MAX_ROWS = 50_000


@dataclasses.dataclass(frozen=True)
class Side:
    """A metric in one of the two evaluations.

    Attributes:
      value: A number, or text or a structure that is only looked at for being the same.
      interval: Or None.
      examples: Number of examples in the slice, or None.
    """

    value: Any
    interval: Interval | None
    examples: float | None

    @property
    def number(self) -> float | None:
        """The value when it is a number."""
        return self.value if isinstance(self.value, (int, float)) else None


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric of the candidates in a slice.

    Attributes:
      slice: The slice.
      metric: Label, such as `auc`.
      base: None when only the other evaluation has it.
      other: None when only the base has it.
      sides: both, base or other: which of the two have the metric in that slice.
      change: Other minus base; None without two numbers.
      relative: Change divided by the base's absolute value; None without two numbers or when the base is 0.
      better: `higher` or `lower` is better; None when not known.
      outcome: better, worse, or None: no change, or no telling.
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
      only_base: Slices that only the base has.
      only_other: Slices that only the other has.
      cut: There are more rows, or one of the evaluations was cut.
    """

    rows: tuple[Row, ...]
    slices: tuple[Slice, ...]
    only_base: tuple[Slice, ...]
    only_other: tuple[Slice, ...]
    cut: bool


def compare(base: EvaluationPayload, other: EvaluationPayload) -> Comparison:
    """Compares the candidates of two evaluations.

    Args:
      base: What is compared with.
      other: What is looked at.
    """
    parts = [{part.slice: part for part in evaluation.slices} for evaluation in (base, other)]
    found = sorted({*parts[0], *parts[1]}, key=lambda one: one.sort_key)
    rows: list[Row] = []
    cut = base.cut or other.cut
    for slice_ in found:
        pair = [parts[0].get(slice_), parts[1].get(slice_)]
        metrics = [_metrics(base, pair[0]), _metrics(other, pair[1])]
        for label in sorted({*metrics[0], *metrics[1]}):
            if len(rows) >= MAX_ROWS:
                cut = True
                break
            known = metrics[0].get(label) or metrics[1][label]
            better = direction(known.key, base.config, other.config)
            rows.append(
                _row(
                    slice_,
                    label,
                    _side(metrics[0], label, pair[0]),
                    _side(metrics[1], label, pair[1]),
                    better,
                )
            )
    return Comparison(
        tuple(rows),
        tuple(found),
        tuple(one for one in found if one not in parts[1]),
        tuple(one for one in found if one not in parts[0]),
        cut,
    )


def _metrics(evaluation: EvaluationPayload, part: SliceMetrics | None) -> dict[str, Metric]:
    return evaluation.candidate(part) if part else {}


def _side(metrics: dict[str, Metric], label: str, part: SliceMetrics | None) -> Side | None:
    metric = metrics.get(label)
    if metric is None or part is None:
        return None
    number = metric.number
    return Side(metric.value if number is None else number, metric.interval, part.examples)


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
