"""What the Evaluator measures and what blocks a push."""

from __future__ import annotations

import os

import pytest
from tensorflow_model_analysis.proto import config_pb2

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


from include.taxi import evaluation, features


def metric(name: str) -> config_pb2.MetricConfig:
    """Returns the one metric of that class."""
    (found,) = [
        config
        for spec in evaluation.eval_config().metrics_specs
        for config in spec.metrics
        if config.class_name == name
    ]
    return found


def test_the_model_is_evaluated_as_served_with_the_transformed_label() -> None:
    (spec,) = evaluation.eval_config().model_specs
    assert spec.signature_name == "serving_default"
    assert spec.label_key == features.LABEL
    assert list(spec.preprocessing_function_names) == ["transform_features"]


def test_slices_are_overall_and_by_hour_weekday_payment_and_company() -> None:
    specs = evaluation.eval_config().slicing_specs
    keys = [list(spec.feature_keys) for spec in specs if not spec.feature_values]
    assert keys == [[], ["trip_start_hour"], ["trip_start_day"], ["payment_type"]]
    values = [dict(spec.feature_values) for spec in specs if spec.feature_values]
    assert values == [{"company": name} for name in evaluation.SLICE_COMPANIES]


@pytest.mark.parametrize(
    ("name", "lower_bound", "max_loss"),
    [
        ("AUC", evaluation.SAMPLE.min_auc, evaluation.SAMPLE.max_auc_loss),
        ("BinaryAccuracy", evaluation.SAMPLE.min_accuracy, evaluation.SAMPLE.max_accuracy_loss),
    ],
)
def test_a_push_needs_a_minimum_and_no_loss_against_the_blessed_model(
    name: str, lower_bound: float, max_loss: float
) -> None:
    config = metric(name)
    # A threshold outside per_slice_thresholds would apply to every slice.
    assert not config.HasField("threshold")
    (overall,) = config.per_slice_thresholds
    assert [list(spec.feature_keys) for spec in overall.slicing_specs] == [[]]
    assert overall.threshold.value_threshold.lower_bound.value == lower_bound
    change = overall.threshold.change_threshold
    assert change.direction == config_pb2.MetricDirection.HIGHER_IS_BETTER
    assert change.absolute.value == -max_loss < 0


def test_confidence_intervals_are_computed_and_no_slice_is_hidden() -> None:
    options = evaluation.eval_config().options
    assert options.compute_confidence_intervals.value
    assert options.confidence_intervals.method == config_pb2.ConfidenceIntervalOptions.JACKKNIFE
    # A hidden slice would fail the validation of the thresholds.
    assert not options.HasField("min_slice_size")


@pytest.mark.parametrize("name", ["LogLoss", "Calibration", "ExampleCount"])
def test_other_metrics_are_reported_without_blocking_a_push(name: str) -> None:
    assert not metric(name).per_slice_thresholds


def test_metrics_that_merge_wrongly_are_not_used() -> None:
    # With intervals on, TFMA 0.47.1 counts one part of the data twice in these.
    used = {config.class_name for spec in evaluation.eval_config().metrics_specs for config in spec.metrics}
    assert used.isdisjoint({"BinaryCrossEntropy", "MeanSquaredError"})
