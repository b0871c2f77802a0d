"""TFMA's jackknife with and without the patches: the same numbers when the buckets are the same."""

from __future__ import annotations

import random
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from apache_beam.testing import util
from google.protobuf import text_format, wrappers_pb2
from tensorflow_model_analysis.evaluators import jackknife, metrics_plots_and_validations_evaluator
from tensorflow_model_analysis.proto import config_pb2

from include.tfx_airflow.tfx_side.patches import applied, tfma_jackknife

pytestmark = pytest.mark.slow

_METRICS = (
    'class_name: "AUC" config: \'{"num_thresholds": 20}\'',
    'class_name: "BinaryAccuracy"',
    'class_name: "Calibration"',
    'class_name: "MeanLabel"',
    'class_name: "ExampleCount"',
    'class_name: "BinaryCrossEntropy"',
    'class_name: "LogLoss" module: "include.taxi.metrics"',
)


def _config() -> config_pb2.EvalConfig:
    """Two models, all rows and each day."""
    config = text_format.Parse(
        "model_specs { name: 'candidate' label_key: 'tip' }"
        "model_specs { name: 'baseline' label_key: 'tip' is_baseline: true }"
        "slicing_specs {} slicing_specs { feature_keys: 'day' }"
        f"metrics_specs {{ {' '.join(f'metrics {{ {metric} }}' for metric in _METRICS)} }}",
        config_pb2.EvalConfig(),
    )
    config.metrics_specs[0].model_names.extend(["candidate", "baseline"])
    config.options.compute_confidence_intervals.CopyFrom(wrappers_pb2.BoolValue(value=True))
    config.options.confidence_intervals.method = config_pb2.ConfidenceIntervalOptions.JACKKNIFE
    return config


def _rows(number: int) -> list[dict[str, Any]]:
    chance = random.Random(3)
    rows = []
    for i in range(number):
        made = [np.array([chance.random()], np.float32) for _ in range(2)]
        day = i % 3 if i else 7  # of the last day too few rows for intervals
        rows.append(
            {
                "labels": np.array([float(chance.random() < made[0][0])], np.float32),
                "predictions": dict(zip(("candidate", "baseline"), made, strict=True)),
                "example_weights": np.array([1.0], np.float32),
                "features": {"day": np.array([day])},
                "_slice_key_types": [(), (("day", day),)],
            }
        )
    return rows


_TAKEN: list[list[Any]] = []


def _take(elements: list[Any]) -> None:
    """Beam pickles a function of a module by its name: this one is the same in the pipeline."""
    _TAKEN.append(elements)


def _evaluated(config: config_pb2.EvalConfig, rows: list[dict[str, Any]]) -> dict[Any, dict[Any, Any]]:
    """Metrics by slice."""
    evaluator = metrics_plots_and_validations_evaluator.MetricsPlotsAndValidationsEvaluator(
        config, random_seed_for_testing=1
    )
    _TAKEN.clear()
    with beam.Pipeline() as pipeline:
        metrics = (pipeline | beam.Create(rows, reshuffle=False) | evaluator.ptransform)["metrics"]
        util.assert_that(metrics, _take)
    return dict(*_TAKEN)


def test_metrics_and_intervals_are_those_of_tfma(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    to_bucket = tfma_jackknife._ToBucket
    monkeypatch.setattr(tfma_jackknife, "_ToBucket", lambda *a: used.append(a) or to_bucket(*a))
    # So few rows that here and there a bucket of a day has none; what TFMA does of itself with 20 takes long.
    monkeypatch.setattr(metrics_plots_and_validations_evaluator, "_DEFAULT_NUM_JACKKNIFE_BUCKETS", 5)
    config, rows = _config(), _rows(30)
    theirs = _evaluated(config, rows)
    assert not used
    with applied.applied():
        ours = _evaluated(config, rows)
    assert used
    assert {key: set(metrics) for key, metrics in ours.items()} == {k: set(m) for k, m in theirs.items()}
    for slice_key, metrics in theirs.items():
        for metric, value in metrics.items():
            # The samples are summed in another order.
            assert _numbers(ours[slice_key][metric]) == pytest.approx(_numbers(value), rel=1e-9, nan_ok=True)
            assert str(_point(ours[slice_key][metric])) == str(_point(value)), (slice_key, metric)
    assert len(theirs) == 5
    intervals = [v for v in theirs[()].values() if isinstance(v, tfma.types.ValueWithTDistribution)]
    assert len(intervals) >= 3 * (len(_METRICS) - 1)  # of two models and their difference
    assert any("CI not computed" in str(value) for value in theirs[(("day", 7),)].values())


def test_cross_slices_are_left_to_tfma() -> None:
    compute = tfma_jackknife.in_two_steps(lambda *arguments: arguments)
    derived = metrics_plots_and_validations_evaluator._AddDerivedCrossSliceAndDiffMetrics
    combine_fn = metrics_plots_and_validations_evaluator._ComputationsCombineFn([])
    crossed = derived([], [], [config_pb2.CrossSlicingSpec()], None)
    assert compute(combine_fn, crossed, 20) == (combine_fn, crossed, 20, None, None)
    assert isinstance(compute(combine_fn, derived([], [], [], None), 20), beam.PTransform)


def test_buckets_are_drawn_anew_in_each_run() -> None:
    _TAKEN.clear()
    for _ in range(2):
        with beam.Pipeline() as pipeline:
            rows = pipeline | beam.Create([((), {})] * 40, reshuffle=False)
            buckets = rows | beam.ParDo(tfma_jackknife._ToBucket(20, np.random.RandomState(None)))
            util.assert_that(buckets | beam.Values() | beam.Keys(), _take)
    assert _TAKEN[0] != _TAKEN[1]
    assert {bucket for buckets in _TAKEN for bucket in buckets} <= set(range(20))


def test_a_transform_of_another_shape_counts_as_having_cross_slices() -> None:
    assert tfma_jackknife._has_cross_slices(beam.Map(str))
    assert jackknife.ComputeWithConfidenceIntervals.__module__ == jackknife.__name__


def _numbers(value: Any) -> list[float]:
    """Of an interval its mean, deviation and degrees of freedom."""
    if isinstance(value, tfma.types.ValueWithTDistribution):
        return [value.sample_mean, value.sample_standard_deviation, value.sample_degrees_of_freedom]
    return []


def _point(value: Any) -> Any:
    return value.unsampled_value if isinstance(value, tfma.types.ValueWithTDistribution) else value
