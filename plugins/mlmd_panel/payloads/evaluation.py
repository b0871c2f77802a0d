"""A ModelEvaluation: every metric of every slice, as TFMA wrote them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files import Files
from mlmd_panel.models import Artifact
from mlmd_panel.payloads import attributions, eval_config, plots, shards, slices, validation
from mlmd_panel.payloads.attributions import AttributionsPayload
from mlmd_panel.payloads.eval_config import EvalConfig
from mlmd_panel.payloads.metrics import Metric, MetricKey, key_of, metric_of
from mlmd_panel.payloads.plots import PlotsPayload
from mlmd_panel.payloads.slices import Slice
from mlmd_panel.payloads.validation import ValidationPayload

MAX_SLICES = 5000
MAX_METRICS = 100_000
# Rows of structured values, such as confusion matrices.
MAX_ROWS = 200_000
PARTS = ("plots", "attributions", "validation")
_COUNTS = {
    False: ("example_count", "post_export_metrics/example_count"),
    True: ("weighted_example_count", "post_export_metrics/example_weight"),
}
_SPAN = re.compile(r"(?i)span[-_=/]?(\d{1,18})")


@dataclasses.dataclass(frozen=True)
class SliceMetrics:
    """The metrics of a slice.

    Attributes:
      slice: The slice.
      metrics: Of all models, and the differences between them.
      examples: Number of examples, or None when it was not measured.
      weighted_examples: Sum of their weights, or None.
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


@dataclasses.dataclass(frozen=True)
class EvaluationPayload:
    """An evaluation.

    Attributes:
      config: Models, slices, thresholds; empty when eval_config.json is gone.
      slices: Overall first, then by name.
      span: Of the examples, when the data's location tells it.
      cut: There are more slices or metrics.
      plots: None when not asked for, or not there.
      attributions: None when not asked for, or not there.
      validation: None when not asked for, or not there.
      problems: Sentences about parts that cannot be shown.
    """

    kind: ClassVar[str] = "evaluation"
    config: EvalConfig
    slices: tuple[SliceMetrics, ...]
    span: int | None = None
    cut: bool = False
    plots: PlotsPayload | None = None
    attributions: AttributionsPayload | None = None
    validation: ValidationPayload | None = None
    problems: tuple[str, ...] = ()

    def candidate(self, part: SliceMetrics) -> dict[str, Metric]:
        """Metrics of the candidate in a slice by label, such as `auc`; no differences to the baseline.

        Of a metric that was measured with and without example weights the second has `, unweighted` after its label.
        """
        found: dict[str, Metric] = {}
        own = [m for m in part.metrics if not m.key.is_diff and self.config.is_candidate(m.key)]
        # The candidate's own after those of no model, weighted after unweighted: the later one keeps the label.
        for metric in sorted(own, key=lambda m: (m.key.model != "", m.key.weighted is True)):
            before = found.get(metric.key.label)
            if before is not None and before.key.model == metric.key.model and not before.key.weighted:
                found[f"{metric.key.label}, unweighted"] = before
            found[metric.key.label] = metric
        return found

    def overall(self) -> dict[str, float]:
        """Numbers of the candidate on all examples by label, such as {"auc": 0.94}."""
        for part in self.slices:
            if part.slice.is_overall:
                found = {label: metric.number for label, metric in self.candidate(part).items()}
                return {label: number for label, number in found.items() if number is not None}
        return {}


def read(artifact: Artifact, files: Files, parts: Collection[str] = PARTS) -> EvaluationPayload:
    """Reads an evaluation.

    Args:
      artifact: The ModelEvaluation.
      files: Where from.
      parts: Which of plots, attributions and validation to read besides the metrics; one that cannot be read
        becomes a sentence in `problems`.

    Raises:
      PayloadError: The metrics are gone or cannot be read.
    """
    problems: list[str] = []
    config = EvalConfig()
    try:
        config = eval_config.read(files, artifact.uri)
    except PayloadError as error:
        problems.append(str(error))
    found, cut = _slices(files, artifact.uri, config)
    span = _SPAN.search(config.data_location)
    payload = EvaluationPayload(config, found, int(span[1]) if span else None, cut)
    readers: dict[str, Any] = {
        "plots": lambda: plots.read(artifact, files),
        "attributions": lambda: attributions.read(artifact, files),
        "validation": lambda: validation.judge(config, found, files, artifact.uri),
    }
    read_parts: dict[str, Any] = {}
    for part in PARTS:
        if part in parts:
            try:
                read_parts[part] = readers[part]()
            except PayloadGone:
                read_parts[part] = None
            except PayloadError as error:
                problems.append(str(error))
    return dataclasses.replace(payload, problems=tuple(problems), **read_parts)


def _slices(files: Files, uri: str, config: EvalConfig) -> tuple[tuple[SliceMetrics, ...], bool]:
    found: list[SliceMetrics] = []
    count = rows = 0
    for message in shards.messages(files, uri, "metrics", "MetricsForSlice"):
        count += len(message.metric_keys_and_values) + len(message.metrics)
        if len(found) >= MAX_SLICES or count > MAX_METRICS or rows > MAX_ROWS:
            return _sorted(found), True
        found.append(_slice(message, config))
        rows += sum(len(metric.value) for metric in found[-1].metrics if isinstance(metric.value, list))
    return _sorted(found), False


def _sorted(found: list[SliceMetrics]) -> tuple[SliceMetrics, ...]:
    return tuple(sorted(found, key=lambda part: part.slice.sort_key))


def _slice(message: Any, config: EvalConfig) -> SliceMetrics:
    metrics, error = [], ""
    for pair in message.metric_keys_and_values:
        interval = pair.confidence_interval if pair.HasField("confidence_interval") else None
        metrics.append(metric_of(key_of(pair.key), pair.value, interval))
    for name in sorted(message.metrics):  # of TFMA before 0.22, and errors
        metric = metric_of(MetricKey(name), message.metrics[name])
        if metric.kind == "message":
            error = str(metric.value)
        else:
            metrics.append(metric)
    return SliceMetrics(
        slices.slice_of(message),
        tuple(metrics),
        _count(metrics, config, weighted=False),
        _count(metrics, config, weighted=True),
        error,
    )


def _count(metrics: list[Metric], config: EvalConfig, weighted: bool) -> float | None:
    """Number of examples: the candidate's, else any model's."""
    counts = [
        m for m in metrics if m.key.name in _COUNTS[weighted] and not m.key.is_diff and m.number is not None
    ]
    counts.sort(key=lambda m: (not config.is_candidate(m.key), m.key.output, m.key.sub_key))
    return counts[0].number if counts else None
