"""Finds metrics that are proportions of known counts, which have intervals even where TFMA recorded none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey

# Shares of the examples that are right.
_OF_EXAMPLES = frozenset(
    "accuracy binary_accuracy categorical_accuracy exact_match sparse_categorical_accuracy"
    " sparse_top_k_categorical_accuracy top_k_categorical_accuracy".split()
)
# Numerator, and what the denominator consists of besides.
_OF_COUNTS = {
    "precision": ("true_positives", "false_positives"),
    "ppv": ("true_positives", "false_positives"),
    "recall": ("true_positives", "false_negatives"),
    "tpr": ("true_positives", "false_negatives"),
    "specificity": ("true_negatives", "false_positives"),
    "tnr": ("true_negatives", "false_positives"),
    "npv": ("true_negatives", "false_negatives"),
    "negative_predictive_value": ("true_negatives", "false_negatives"),
    "fall_out": ("false_positives", "true_negatives"),
    "fpr": ("false_positives", "true_negatives"),
    "miss_rate": ("false_negatives", "true_positives"),
    "fnr": ("false_negatives", "true_positives"),
    "false_discovery_rate": ("false_positives", "true_positives"),
    "false_omission_rate": ("false_negatives", "true_negatives"),
}
# Metrics that `counts` looks at besides the proportion itself.
COUNTS = frozenset(name for names in _OF_COUNTS.values() for name in names)
_CLOSE = 1e-6
# A number of examples, computed from a rounded share. With more examples than that can tell apart, a share is no proportion.
_NEAR_A_COUNT = 0.05


def counts(
    key: MetricKey, metrics: Mapping[MetricKey, Metric], examples: float | None
) -> tuple[float, float] | None:
    """Numerator and denominator of a proportion; None for other metrics, and where the counts are not known.

    A metric counts as a proportion only if its value says so too: a weighted one, or one at another threshold than the
    counts beside it, is not.

    Args:
      key: The metric.
      metrics: All of its slice.
      examples: In the slice.
    """
    value = metrics[key].number
    if value is None or key.weighted or not 0 <= value <= 1:
        return None
    if key.name in _OF_EXAMPLES:
        right = round(value * examples) if examples else 0
        if not examples or abs(value * examples - right) > min(_CLOSE * examples, _NEAR_A_COUNT):
            return None
        return float(right), examples
    if key.name not in _OF_COUNTS:
        return None
    found = [metrics.get(dataclasses.replace(key, name=name)) for name in _OF_COUNTS[key.name]]
    numbers = [metric.number for metric in found if metric is not None and metric.number is not None]
    if len(numbers) < 2 or sum(numbers) <= 0 or abs(numbers[0] / sum(numbers) - value) > _CLOSE:
        return None
    return float(numbers[0]), float(sum(numbers))
