"""The numbers of a ModelEvaluation, as TFMA writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import tensorflow_model_analysis as tfma


@dataclasses.dataclass(frozen=True)
class Number:
    """The value of one metric in one slice.

    Attributes:
      record: TFMA's MetricsForSlice, which names the slice.
      key: TFMA's MetricKey.
      value: The metric; of a key with `is_diff`, its change from the baseline model.
      interval: `lower` and `upper` bound of the confidence interval; empty when TFMA computed none.
    """

    record: Any
    key: Any
    value: float
    interval: dict[str, float]


def numbers(uri: str) -> Iterator[Number]:
    """Reads the metrics that are single numbers, without those of the baseline model.

    Args:
      uri: Of a ModelEvaluation artifact.
    """
    for record in tfma.load_metrics(uri):
        for item in record.metric_keys_and_values:
            kind = item.value.WhichOneof("type")
            if item.key.model_name == tfma.BASELINE_KEY or kind not in ("double_value", "bounded_value"):
                continue
            interval = {}
            for side in ("lower", "upper"):
                bound = getattr(item.confidence_interval, f"{side}_bound")
                if bound.WhichOneof("type"):
                    interval[side] = getattr(bound, bound.WhichOneof("type")).value
            yield Number(record, item.key, getattr(item.value, kind).value, interval)


def metric_name(key: Any) -> str:
    """Name of a metric with what distinguishes it: `auc (dnn, classId:0, weighted)`."""
    parts = [key.model_name if key.model_name != tfma.CANDIDATE_KEY else "", key.output_name]
    for field, label in (("class_id", "classId"), ("k", "k"), ("top_k", "topK")):
        if key.sub_key.HasField(field):
            parts.append(f"{label}:{getattr(key.sub_key, field).value}")
    aggregation = key.aggregation_type.WhichOneof("type")
    parts += [(aggregation or "").replace("_average", ""), "weighted" if key.example_weighted.value else ""]
    details = ", ".join(filter(None, parts))
    return f"{key.name} ({details})" if details else key.name


def slice_name(key: Any) -> str:
    """Name of a slice, of TFMA's SliceKey: `payment_type=Cash, hour=7`; empty for all examples."""
    parts = []
    for part in key.single_slice_keys:
        value = getattr(part, part.WhichOneof("kind"))
        parts.append(f"{part.column}={value.decode(errors='replace') if isinstance(value, bytes) else value}")
    return ", ".join(parts)
