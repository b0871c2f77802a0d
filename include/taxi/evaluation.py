"""The Evaluator's configuration: what is measured, on which slices, and what blocks a push."""

from __future__ import annotations

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2

from include.taxi import features

SLICE_FEATURES: tuple[str, ...] = (
    "trip_start_hour",
    "trip_start_day",
    "payment_type",
    "company",
)


def eval_config() -> tfma.EvalConfig:
    """x"""
    def th(lo, ch):
        return tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(lower_bound={"value": lo}),
            change_threshold=tfma.GenericChangeThreshold(
                direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": ch}))
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name="serving_default", label_key=features.LABEL,
            preprocessing_function_names=["transform_features"])],
        slicing_specs=[tfma.SlicingSpec(), *[tfma.SlicingSpec(feature_keys=[f]) for f in SLICE_FEATURES]],
        metrics_specs=[tfma.MetricsSpec(metrics=[
            tfma.MetricConfig(class_name="AUC", config='{"num_thresholds": 1000}', threshold=th(0.93, -0.005)),
            tfma.MetricConfig(class_name="BinaryAccuracy", threshold=th(0.85, -0.01)),
            tfma.MetricConfig(class_name="BinaryCrossEntropy"),
            tfma.MetricConfig(class_name="Calibration"),
            tfma.MetricConfig(class_name="MeanLabel"),
            tfma.MetricConfig(class_name="MeanPrediction"),
            tfma.MetricConfig(class_name="ExampleCount"),
            tfma.MetricConfig(class_name="CalibrationPlot", config='{"num_buckets": 20}'),
            tfma.MetricConfig(class_name="ConfusionMatrixPlot", config='{"num_thresholds": 100}'),
            ])],
        options=tfma.Options(
            compute_confidence_intervals=wrappers_pb2.BoolValue(value=True),
            confidence_intervals=tfma.ConfidenceIntervalOptions(method="JACKKNIFE"),
            min_slice_size=wrappers_pb2.Int32Value(value=20)),
    )
