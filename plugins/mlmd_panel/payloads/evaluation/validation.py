"""Reads the verdict of an evaluation: each threshold in each slice, with its value and margin.

TFMA records only what failed. The rest is computed here from the configuration and the metrics by the rules of its
validator, and compared with the recorded failures; where they differ, TFMA's outcome is used.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadGone
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import shards, slices
from mlmd_panel.payloads.evaluation.eval_config import DIRECTIONS, EvalConfig, Threshold, bounds
from mlmd_panel.payloads.evaluation.metrics import Interval, Metric, MetricKey, key_of, metric_of
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.slices import Slice

MAX_CHECKS = 20_000
# Thresholds in slices that are worked out; what TFMA wrote is shown in any case.
_MAX_GROUPS = 200_000
NOT_FOUND = "Metric not found."
_NO_VERDICT = "TFMA recorded no failure, and the panel cannot check the value itself."


@dataclasses.dataclass(frozen=True)
class Check:
    """One bound of one threshold in one slice.

    Attributes:
      slice: The slice.
      key: The metric; of a bound on the change the difference to the baseline.
      bound: lower or upper (of the value), absolute or relative (of the change), or "" of a threshold without any.
      limit: The bound, or None.
      direction: Of a bound on the change: `lower is better`, `higher is better` or empty.
      value: What is compared: the value, the change, or the change divided by the baseline's value; None when
        there is none.
      interval: Of the metric, or None; of a relative change None.
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


@dataclasses.dataclass(frozen=True)
class ValidationPayload:
    """A verdict.

    Attributes:
      ok: TFMA's verdict; None when it wrote none.
      rubber_stamp: There was no baseline, and bounds on the change were left out.
      missing_thresholds: The configuration has no thresholds, so TFMA records the model as not validated.
      missing_slices: Names of slices that have thresholds but no examples.
      missing_cross_slices: The same for cross slices.
      missing_metrics: Labels of metrics that have thresholds, but that a slice lacks.
      details: What slices were looked for, and how many checks were made in such.
      checks: Failed first, then by slice and metric.
      cut: There are more checks than were computed; those that TFMA counted as failed come first.
      checks_in_all: Number of checks that were computed.
      disagreements: Number of checks whose computed outcome differs from TFMA's, which is used.
    """

    kind: ClassVar[str] = "validation"
    ok: bool | None
    rubber_stamp: bool
    missing_thresholds: bool
    missing_slices: tuple[str, ...]
    missing_cross_slices: tuple[str, ...]
    missing_metrics: tuple[str, ...]
    details: tuple[tuple[str, int], ...]
    checks: tuple[Check, ...]
    cut: bool = False
    disagreements: int = 0
    checks_in_all: int = 0

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.passed is False)


# Slice, metric and bounds: what a failure in TFMA's file is for.
_Place = tuple[Slice, MetricKey, tuple]


def judge(
    config: EvalConfig, parts: Sequence[SliceMetrics], files: Files, uri: str, cut: bool = False
) -> ValidationPayload:
    """Applies the thresholds to the metrics and reads validations.tfrecord.

    Args:
      config: Of the evaluation.
      parts: Its metrics.
      files: Where from.
      uri: Of the ModelEvaluation.
      cut: The evaluation has more metrics than those.

    Raises:
      PayloadGone: TFMA wrote no verdict, and there are no thresholds.
      PayloadError: The file is broken or too large.
    """
    result = _result(files, uri, gone_is_error=not config.thresholds)
    failures = _failures(result) if result is not None else {}
    checks: list[Check] = []
    cut, disagreements, count = cut or config.cut, 0, 0
    for number, (place, group) in enumerate(_groups(config, parts)):
        if number >= _MAX_GROUPS:
            cut = True
            break
        failure = failures.pop(place, None)
        count += len(group)
        # What failed is shown in any case; it is as much as TFMA wrote.
        if len(checks) + len(group) > MAX_CHECKS and failure is None:
            cut = True
            continue
        if result is not None:
            reconciled = _with_recorded_verdict(group, failure)
            disagreements += reconciled != [dataclasses.replace(check, recorded=True) for check in group]
            group = reconciled
        checks += group
    for (slice_, key, _), (threshold, metric, message) in failures.items():  # such as of names not known here
        group = _checks(slice_, threshold, metric, None, message)
        count += len(group)
        checks += [dataclasses.replace(check, key=key, passed=False, recorded=True) for check in group]
    checks.sort(key=lambda one: (one.passed is not False, one.slice.sort_key, one.key.label, one.key.model))
    missing = sorted({check.key.label for check in checks if check.message == NOT_FOUND})
    if result is None:
        return ValidationPayload(None, False, False, (), (), tuple(missing), (), tuple(checks), cut, 0, count)
    return ValidationPayload(
        ok=result.validation_ok,
        rubber_stamp=result.rubber_stamp,
        missing_thresholds=result.missing_thresholds,
        missing_slices=tuple(slices.spec_of(spec).name for spec in result.missing_slices[:MAX_CHECKS]),
        missing_cross_slices=tuple(
            slices.spec_of(spec).name for spec in result.missing_cross_slices[:MAX_CHECKS]
        ),
        missing_metrics=tuple(missing),
        details=tuple(_details(result)),
        checks=tuple(checks),
        cut=cut,
        disagreements=disagreements,
        checks_in_all=count,
    )


def _result(files: Files, uri: str, gone_is_error: bool) -> Any:
    """TFMA's verdict, or None."""
    try:
        return next(shards.messages(files, uri, "validations", "ValidationResult"), None)
    except PayloadGone:
        if gone_is_error:
            raise
        return None


def _details(result: Any) -> Iterator[tuple[str, int]]:
    for detail in result.validation_details.slicing_details[:MAX_CHECKS]:
        cross = detail.HasField("cross_slicing_spec")
        spec = slices.spec_of(detail.cross_slicing_spec if cross else detail.slicing_spec)
        yield spec.name, detail.num_matching_slices


def _failures(result: Any) -> dict[_Place, tuple[Threshold, Metric | None, str]]:
    found: dict[_Place, tuple[Threshold, Metric | None, str]] = {}
    for part in result.metric_validations_per_slice:
        slice_ = slices.slice_of(part)
        for failure in part.failures:
            written = key_of(failure.metric_key)
            metric = metric_of(written, failure.metric_value) if failure.HasField("metric_value") else None
            for threshold in bounds(failure.metric_threshold, written, None):
                found[(slice_, written, threshold.identity)] = (
                    threshold,
                    metric,
                    " ".join(failure.message.split()),
                )
    return found


class _Thresholds:
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


def _groups(config: EvalConfig, parts: Sequence[SliceMetrics]) -> Iterator[tuple[_Place, list[Check]]]:
    """Each threshold in each slice that it applies to, with a check for each of its bounds."""
    thresholds = _Thresholds(config)
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
            yield place, _checks(part.slice, threshold, metric, base, "" if metric else NOT_FOUND)


def _checks(
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
    checks = []
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
        checks.append(
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
    return checks


def _with_recorded_verdict(group: list[Check], failure: tuple | None) -> list[Check]:
    """The checks of a threshold with TFMA's verdict on it; a threshold fails if one of its bounds does."""
    failed = failure is not None
    ours = any(check.passed is False for check in group)
    if failed == ours:
        return [dataclasses.replace(check, recorded=True) for check in group]
    said = "TFMA counted it as failed." if failed else "TFMA counted it as passed."
    return [dataclasses.replace(check, recorded=True, passed=not failed, message=said) for check in group]
