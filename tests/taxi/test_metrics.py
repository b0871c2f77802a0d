"""The loss metric, with and without the jackknife, against the formula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as resampling
from tensorflow_model_analysis.proto import config_pb2

from tests.components.patched_beam import patched_beam

pytestmark = pytest.mark.slow


def _evaluate(frame: pd.DataFrame, intervals: bool) -> float:
    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key="label", prediction_key="prediction")],
        slicing_specs=[config_pb2.SlicingSpec()],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name="LogLoss", module="include.taxi.metrics"),
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                ]
            )
        ],
        options=config_pb2.Options(compute_confidence_intervals=wrappers_pb2.BoolValue(value=intervals)),
    )
    if intervals:
        config.options.confidence_intervals.method = config_pb2.ConfidenceIntervalOptions.JACKKNIFE
    with patched_beam():
        result = tfma.analyze_raw_data(frame, config)
    value = result.get_metrics_for_slice(())["loss"]
    return float(value["doubleValue"] if "doubleValue" in value else value["boundedValue"]["value"])


@pytest.mark.parametrize("intervals", [False, True], ids=["plain", "jackknife"])
def test_loss_is_the_mean_cross_entropy_however_the_data_is_partitioned(
    intervals: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each of 20 buckets would be a part of the pipeline; five partition the data as well.
    monkeypatch.setattr(resampling, "_DEFAULT_NUM_JACKKNIFE_BUCKETS", 5)
    source = np.random.default_rng(1)
    labels = source.integers(0, 2, 400).astype(float)
    predictions = source.uniform(0.05, 0.95, 400)
    expected = -np.mean(labels * np.log(predictions) + (1 - labels) * np.log(1 - predictions))
    frame = pd.DataFrame({"label": labels, "prediction": predictions})
    assert _evaluate(frame, intervals) == pytest.approx(expected, rel=1e-6)


def test_a_certain_and_wrong_prediction_has_a_finite_loss() -> None:
    frame = pd.DataFrame({"label": [1.0, 0.0], "prediction": [0.0, 0.0]})
    assert _evaluate(frame, False) == pytest.approx(-np.log(1e-7) / 2, rel=1e-3)
