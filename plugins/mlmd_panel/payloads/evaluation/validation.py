"""Reads the verdict of an evaluation: each threshold in each slice, with its value and margin.

TFMA records only what failed. The rest is computed here from the configuration and the metrics by the rules of its
validator, and compared with the recorded failures; where they differ, TFMA's outcome is used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadGone
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import shards, slices, thresholds
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig, Threshold, bounds
from mlmd_panel.payloads.evaluation.metrics import Metric, key_of, metric_of
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics
from mlmd_panel.payloads.evaluation.thresholds import Check

MAX_CHECKS = 20_000
# Thresholds in slices that are worked out; what TFMA wrote is shown in any case.
_MAX_GROUPS = 200_000


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


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What TFMA recorded of a verdict as a whole; the fields are those of ValidationPayload."""

    ok: bool
    rubber_stamp: bool
    missing_thresholds: bool


def recorded(files: Files, uri: str) -> Recorded | None:
    """TFMA's verdict without its checks; None when it wrote none.

    Raises:
      PayloadError: The file is broken or too large.
    """
    result = _result(files, uri, gone_is_error=False)
    if result is None:
        return None
    return Recorded(result.validation_ok, result.rubber_stamp, result.missing_thresholds)


def judge(
    config: EvalConfig, parts: Sequence[SliceMetrics], files: Files, uri: str, cut: bool = False
) -> ValidationPayload:
    """Applies the thresholds to the metrics and reads validations.tfrecord.

    Args:
      config: The evaluation's configuration.
      parts: Its metrics.
      files: Where from.
      uri: URI of the ModelEvaluation.
      cut: The evaluation has more metrics than those.

    Raises:
      PayloadGone: TFMA wrote no verdict, and there are no thresholds.
      PayloadError: The file is broken or too large.
    """
    result = _result(files, uri, gone_is_error=not config.thresholds)
    failures = _failures(result) if result is not None else {}
    checks: list[Check] = []
    cut, disagreements, count = cut or config.cut, 0, 0
    for number, (place, group) in enumerate(thresholds.groups(config, parts)):
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
            # Not the checks themselves: one without a value is NaN, which from Python 3.13 on equals nothing here.
            disagreements += [check.passed for check in reconciled] != [check.passed for check in group]
            group = reconciled
        checks += group
    for (slice_, key, _), (threshold, metric, message) in failures.items():  # such as of names not known here
        group = thresholds.checks(slice_, threshold, metric, None, message)
        count += len(group)
        checks += [dataclasses.replace(check, key=key, passed=False, recorded=True) for check in group]
    checks.sort(key=lambda one: (one.passed is not False, one.slice.sort_key, one.key.label, one.key.model))
    missing = sorted({check.key.label for check in checks if check.message == thresholds.NOT_FOUND})
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


def _failures(result: Any) -> dict[thresholds.Place, tuple[Threshold, Metric | None, str]]:
    found: dict[thresholds.Place, tuple[Threshold, Metric | None, str]] = {}
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


def _with_recorded_verdict(group: list[Check], failure: tuple | None) -> list[Check]:
    """The checks of a threshold with TFMA's verdict on it; a threshold fails if one of its bounds does."""
    failed = failure is not None
    ours = any(check.passed is False for check in group)
    if failed == ours:
        return [dataclasses.replace(check, recorded=True) for check in group]
    said = "TFMA counted it as failed." if failed else "TFMA counted it as passed."
    return [dataclasses.replace(check, recorded=True, passed=not failed, message=said) for check in group]
