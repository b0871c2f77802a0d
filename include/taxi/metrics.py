"""The loss as an evaluation metric that is correct under the jackknife."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import cross_entropy_metrics, metric_types, metric_util

# Predictions of exactly 0 or 1 would make the loss infinite or undefined; Keras clips the same.
_EPSILON = 1e-7


class _Combiner(cross_entropy_metrics._BinaryCrossEntropyCombiner):
    """TFMA's combiner, which up to 0.47.1 merges the first of several accumulators twice.

    Without confidence intervals there is mostly one to merge; the jackknife merges 19 of 20 parts, and
    the same model scored anything from 0.19 to 0.23.
    """

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        """Sums accumulators, each once."""
        result = self.create_accumulator()
        for accumulator in accumulators:
            result.merge(accumulator)
        return result

    def _cross_entropy(self, label: np.ndarray, prediction: np.ndarray) -> float:
        return super()._cross_entropy(label, np.clip(prediction, _EPSILON, 1 - _EPSILON))


class LogLoss(metric_types.Metric):
    """Mean binary cross entropy in nats per example, named `loss`."""

    def __init__(self, name: str = "loss"):
        """Takes the metric's name."""
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


def _computations(
    name: str | None = None,
    eval_config: Any = None,
    model_name: str | None = None,
    output_name: str | None = None,
    example_weighted: bool = False,
    sub_key: Any = None,
    aggregation_type: Any = None,
    class_weights: dict[int, float] | None = None,
) -> metric_types.MetricComputations:
    key = metric_types.MetricKey(
        name=name,
        model_name=model_name,
        output_name=output_name,
        sub_key=sub_key,
        example_weighted=example_weighted,
    )
    combiner = _Combiner(
        eval_config=eval_config,
        model_name=model_name,
        output_name=output_name,
        metric_key=key,
        example_weighted=example_weighted,
        aggregation_type=aggregation_type,
        class_weights=class_weights,
    )
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=combiner)]


metric_types.register_metric(LogLoss)
