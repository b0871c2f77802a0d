"""Reads from an evaluation's thresholds how much worse a metric may get, and by what margin each bound was kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from mlmd_panel.payloads.evaluation.eval_config import DIRECTIONS
from mlmd_panel.payloads.evaluation.evaluation import EvaluationPayload
from mlmd_panel.payloads.evaluation.metrics import MetricKey
from mlmd_panel.payloads.evaluation.slices import Slice
from mlmd_panel.payloads.evaluation.validation import Check


class Thresholds:
    """The thresholds of an evaluation by slice and metric."""

    def __init__(self, payload: EvaluationPayload) -> None:
        self._checks: dict[tuple[Slice, MetricKey], list[Check]] = {}
        self._payload = payload
        self._known: dict[MetricKey, MetricKey] = {}
        for check in payload.validation.checks if payload.validation else ():
            self._checks.setdefault((check.slice, self._plain(check.key)), []).append(check)

    def checks(self, slice_: Slice, key: MetricKey) -> tuple[Check, ...]:
        """The bounds on a metric in a slice, with TFMA's outcome."""
        return tuple(self._checks.get((slice_, self._plain(key)), ())) if self._checks else ()

    def _plain(self, key: MetricKey) -> MetricKey:
        """A key without weighting, which a threshold may leave open, and without the name of a sole model."""
        if key not in self._known:
            model = "" if key.model == self._payload.sole else key.model
            self._known[key] = dataclasses.replace(key, model=model, is_diff=False, weighted=None)
        return self._known[key]


def allowed(checks: Iterable[Check], of: float | None) -> float | None:
    """How much worse a metric may get in a slice, in its own unit; the strictest of several bounds.

    None without a threshold on the change, and where one asks that the metric gets better.

    Args:
      checks: The bounds on it.
      of: Value of the baseline, of which relative thresholds are a part.
    """
    found = [_allowed(check, of) for check in checks]
    known = [number for number in found if number is not None]
    return min(known) if known and min(known) >= 0 else None


def _allowed(check: Check, of: float | None) -> float | None:
    if check.limit is None or not check.direction:
        return None
    worse = check.limit if check.direction == DIRECTIONS[1] else -check.limit
    if check.bound == "absolute":
        return worse
    return worse * abs(of) if check.bound == "relative" and of else None
