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
