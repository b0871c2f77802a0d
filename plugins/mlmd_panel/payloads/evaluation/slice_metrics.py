"""Reads the metrics of each slice of an evaluation."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.errors import PayloadTooLarge
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import slice_records, slices
from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey, key_of, metric_of
from mlmd_panel.payloads.evaluation.slices import Slice

MAX_SLICES = 5000
MAX_METRICS = 100_000
# Rows of structured values, such as confusion matrices.
MAX_ROWS = 200_000
# Beyond those, slices that are searched for by name.
MAX_SEARCHED = 500


@dataclasses.dataclass(frozen=True)
class SliceMetrics:
    """The metrics of a slice.

    Attributes:
      slice: The slice.
      metrics: Of all models, and the differences between them.
      examples: Number of examples, or None when it was not measured; never a sum of weights, nor a cross slice's
        difference of numbers.
      weighted_examples: Sum of their weights, or None when it was not measured, or differs between outputs.
      error: What TFMA says instead of metrics, such as that the slice is too small; or empty.
    """

    slice: Slice
    metrics: tuple[Metric, ...]
    examples: float | None
    weighted_examples: float | None
    error: str = ""

    def metric(self, key: MetricKey) -> Metric | None:
        """The metric of that key."""
        return next((metric for metric in self.metrics if metric.key == key), None)


def read(files: Files, uri: str, search: str = "") -> tuple[tuple[SliceMetrics, ...], int, bool]:
    """The slices that are kept, how many there are, and whether something was left out.

    Args:
      files: Where from.
      uri: Of the ModelEvaluation.
      search: Text in the names of slices that are kept beyond the limits.

    Raises:
      PayloadError: The metrics are gone or cannot be read.
    """
    found: list[SliceMetrics] = []
    keys: dict[bytes, MetricKey] = {}
    count = metrics = rows = 0
    more, full, cut = MAX_SEARCHED, False, False
    try:
        for message in slice_records.messages(files, uri):
            count += 1
            metrics += len(message.metric_keys_and_values) + len(message.metrics)
            full = full or len(found) >= MAX_SLICES or metrics > MAX_METRICS or rows > MAX_ROWS
            if full:
                slice_ = slices.slice_of(message)
                wanted = slice_.is_overall or (search and search.lower() in slice_.name.lower())
                if not wanted or not more:
                    cut = True
                    continue
                more -= 1
            found.append(_slice(message, keys))
            rows += sum(len(metric.value) for metric in found[-1].metrics if isinstance(metric.value, list))
    except PayloadTooLarge:
        if not found:
            raise
        cut = True
    return tuple(sorted(found, key=lambda part: part.slice.sort_key)), count, cut


def _slice(message: Any, keys: dict[bytes, MetricKey]) -> SliceMetrics:
    """A slice; `keys` are those of the slices before, as all slices have the same."""
    metrics, error = [], ""
    for pair in message.metric_keys_and_values:
        written = pair.key.SerializeToString()
        if written not in keys:
            keys[written] = key_of(pair.key)
        interval = pair.confidence_interval if pair.HasField("confidence_interval") else None
        metrics.append(metric_of(keys[written], pair.value, interval))
    for name in sorted(message.metrics):  # of TFMA before 0.22, and errors
        metric = metric_of(MetricKey(name), message.metrics[name])
        if metric.kind == "message":
            error = str(metric.value)
        else:
            metrics.append(metric)
    slice_ = slices.slice_of(message)
    # Of a cross slice all metrics are differences, counts too.
    counted = metrics if slice_.baseline is None else []
    counts = _count(counted, weighted=False), _count(counted, weighted=True)
    return SliceMetrics(slice_, tuple(metrics), *counts, error)


def _count(metrics: list[Metric], weighted: bool) -> float | None:
    """The number that all models and outputs agree on, else None: weights may be theirs alone."""
    counts = {
        repr(m.number): m.number
        for m in metrics
        if not m.key.is_diff and m.number is not None and _counts(m.key) is weighted
    }
    return next(iter(counts.values())) if len(counts) == 1 else None


def _counts(key: MetricKey) -> bool | None:
    """True of a sum of weights, False of a number of examples, None of other metrics.

    TFMA gives both of its metrics weighted and unweighted; the key says which. Of those without a key, of old
    versions, the name does.
    """
    name = key.name.removeprefix("post_export_metrics/")
    if name == "example_count":
        return key.weighted is True
    if name in ("weighted_example_count", "example_weight"):
        return key.weighted is not False
    return None
