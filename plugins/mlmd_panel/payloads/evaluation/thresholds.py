"""Applies thresholds to the metrics of an evaluation, by the rules of TFMA's validator."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Sequence

from mlmd_panel.payloads.evaluation import slices
from mlmd_panel.payloads.evaluation.eval_config import DIRECTIONS, EvalConfig, Threshold
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice

NOT_FOUND = "Metric not found."
_NO_VERDICT = "TFMA recorded no failure, and the panel cannot check the value itself."

# Slice, metric and bounds: what a failure in TFMA's file is for.
Place = tuple[Slice, MetricKey, tuple]


@dataclasses.dataclass(frozen=True)
class Check:
    """One bound of one threshold in one slice.

    Attributes:
      slice: The slice.
      key: The metric; of a bound on the change the difference to the baseline.
      bound: lower or upper (of the value), absolute or relative (of the change), or "" of a threshold without any.
      limit: The bound, or None.
      direction: `lower is better` or `higher is better` for a bound on the change; else empty.
      value: What is compared: the value, the change, or the change divided by the baseline's value; None when
        there is none.
      interval: The metric's, or None; None for a relative change.
      margin: Distance to the bound, in the bound's unit; negative when it is missed, NaN when it means nothing.
      passed: None if not known.
      recorded: Whether TFMA's file confirms the outcome.
      message: Why it could not be compared, or empty.
    """

    slice: Slice
    key: MetricKey
    bound: str
    limit: float | None
    direction: str
    value: float | None
    interval: Interval | None
    margin: float | None
    passed: bool | None
    recorded: bool
    message: str = ""


class _Applying:
    """Thresholds by what they are for: thousands of slices may have thresholds of their own."""

    def __init__(self, config: EvalConfig) -> None:
        self._by_key: dict[MetricKey, dict[tuple, tuple[int, Threshold]]] = {}
        self._exact: dict[frozenset, list[tuple[int, Threshold]]] = {}
        self._other: list[tuple[int, Threshold]] = []
        for row in enumerate(config.thresholds):
            threshold = row[1]
            if threshold.key.model == config.baseline:
                continue
            spec = threshold.spec
            if not isinstance(spec, slices.CrossSpec):
                self._by_key.setdefault(threshold.key, {}).setdefault(threshold.identity, row)
            if isinstance(spec, slices.Spec) and not spec.features:
                self._exact.setdefault(spec.values, []).append(row)
            else:
                self._other.append(row)

    def of(self, part: SliceMetrics, metrics: Collection[MetricKey]) -> list[Threshold]:
        """Those that apply to a slice, in the configuration's order.

        Where a metric is missing TFMA does not ask whether the threshold is for that slice, except of cross slices.
        """
        slice_, rows = part.slice, [row for row in self._other if slices.selects(row[1].spec, part.slice)]
        if slice_.baseline is None:
            pairs = frozenset((feature, slices.typed(value)) for feature, value in slice_.pairs)
            if len(pairs) == len(slice_.pairs):
                rows += self._exact.get(pairs, [])
            for key in self._by_key.keys() - metrics:
                rows += self._by_key[key].values()
        return [threshold for _, threshold in sorted(dict(rows).items())]


def groups(config: EvalConfig, parts: Sequence[SliceMetrics]) -> Iterator[tuple[Place, list[Check]]]:
    """Each threshold in each slice that it applies to, with a check for each of its bounds."""
    thresholds = _Applying(config)
    for part in parts:
        metrics = {metric.key: metric for metric in part.metrics}
        done: set[tuple] = set()
        for threshold in thresholds.of(part, metrics.keys()):
            metric = metrics.get(threshold.key)
            # Several specifications may ask the same of one slice.
            place = (part.slice, threshold.key, threshold.identity)
            if place in done:
                continue
            done.add(place)
            base = None
            if threshold.change and config.baseline is not None:
                key = dataclasses.replace(threshold.key, model=config.baseline, is_diff=False)
                base = metrics[key].number if key in metrics else None
            yield place, checks(part.slice, threshold, metric, base, "" if metric else NOT_FOUND)


def checks(
    slice_: Slice, threshold: Threshold, metric: Metric | None, base: float | None, message: str
) -> list[Check]:
    """A check for each bound of a threshold."""
    number = metric.number if metric else None
    higher = threshold.direction == 2
    if threshold.change:
        rows = [("absolute", threshold.absolute, number, higher)]
        # TFMA asks math.isclose, which of nothing but 0 is close to 0.
        ratio = None if number is None or base is None else (number / base if base != 0 else math.nan)
        rows.append(("relative", threshold.relative, ratio, higher))
    else:
        rows = [("lower", threshold.lower, number, True), ("upper", threshold.upper, number, False)]
    rows = [row for row in rows if row[1] is not None] or [("", None, number, True)]
    found = []
    for bound, limit, value, least in rows:
        why, margin, passed = message, None, None
        if metric is None or message:
            passed = False
        elif bound == "":
            passed = threshold.change or (None if value is None else not math.isnan(value))
        elif threshold.change and threshold.direction not in DIRECTIONS:
            passed, why = False, "The threshold does not say which direction is better."
        elif value is not None and limit is not None:
            margin = value - limit if least else limit - value
            # The comparison itself, not the margin's sign: differences of small or infinite numbers round.
            passed = value >= limit if least else value <= limit
        elif number is not None and bound == "relative":
            passed, why = False, "The baseline does not have this metric."
        else:
            why = _NO_VERDICT
        found.append(
            Check(
                slice=slice_,
                key=threshold.key,
                bound=bound,
                limit=limit,
                direction=DIRECTIONS.get(threshold.direction, ""),
                value=value,
                interval=metric.interval if metric and bound != "relative" else None,
                margin=margin,
                passed=passed,
                recorded=False,
                message=why,
            )
        )
    return found


def missing_slices(
    config: EvalConfig, parts: Sequence[SliceMetrics]
) -> tuple[slices.Spec | slices.CrossSpec, ...]:
    """What thresholds are for and TFMA finds no slice of, each once; any such fails the model.

    TFMA never finds a cross slice: it notes those that it has checked as if they were the slice of all examples.
    """
    thresholds = _Applying(config)
    found: set[slices.Spec] = set()
    for part in parts:
        keys = {metric.key for metric in part.metrics}
        for threshold in thresholds.of(part, keys):
            if threshold.key in keys:
                found.add(_without_sql(threshold.spec))
    wanted = dict.fromkeys(one.spec for one in config.thresholds if one.key.model != config.baseline)
    missing: dict[slices.Spec | slices.CrossSpec, None] = {}
    for spec in wanted:
        if isinstance(spec, slices.CrossSpec):
            missing[spec] = None
        elif _without_sql(spec) not in found:
            missing[_without_sql(spec)] = None
    return tuple(missing)


def _without_sql(spec: slices.Spec | slices.CrossSpec | None) -> slices.Spec:
    if isinstance(spec, slices.Spec):
        return dataclasses.replace(spec, sql="") if spec.sql else spec
    return slices.Spec()
