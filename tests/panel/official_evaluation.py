"""Evaluations by TFMA itself, with what TFMA reads from them; run where TFX is installed.

`python -m tests.panel.official_evaluation FOLDER` makes FOLDER/<name>/ for several evaluations and
FOLDER/answers.json.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import apache_beam as beam
import pandas as pd
import pyarrow as pa
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format, text_format
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as resampling
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.extractors import materialized_predictions_extractor
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer
from tfx_bsl.arrow import table_util

# Candidate and baseline, jackknife intervals, plots, every kind of threshold, cross slices.
_COMPARED = """
model_specs { name: "candidate" label_key: "label" prediction_key: "new" }
model_specs { name: "baseline" label_key: "label" prediction_key: "old" is_baseline: true }
slicing_specs {}
slicing_specs { feature_keys: "language" }
slicing_specs { feature_values { key: "hour" value: "3" } }
slicing_specs { feature_keys: "hour" feature_values { key: "language" value: "fr" } }
cross_slicing_specs {
  baseline_spec {}
  slicing_specs { feature_values { key: "language" value: "de" } }
}
metrics_specs {
  model_names: "candidate" model_names: "baseline"
  metrics { class_name: "ExampleCount" }
  metrics { class_name: "CalibrationPlot" }
  metrics { class_name: "ConfusionMatrixPlot" config: '"num_thresholds": 40' }
  metrics { class_name: "ConfusionMatrixAtThresholds" config: '"thresholds": [0.25, 0.5]' }
  metrics {
    class_name: "AUC"
    config: '{"num_thresholds": 40, "name": "area"}'
    threshold { value_threshold { lower_bound { value: 0.5 } upper_bound { value: 0.99 } } }
    per_slice_thresholds {
      slicing_specs { feature_keys: "language" }
      slicing_specs { feature_values { key: "language" value: "de" } }
      threshold {
        value_threshold { lower_bound { value: 0.7 } }
        change_threshold { direction: HIGHER_IS_BETTER absolute { value: -0.01 } relative { value: -0.02 } }
      }
    }
    per_slice_thresholds {
      slicing_specs { feature_values { key: "language" value: "nobody speaks it" } }
      threshold { value_threshold { lower_bound { value: 0.1 } } }
    }
    cross_slice_thresholds {
      cross_slicing_specs {
        baseline_spec {}
        slicing_specs { feature_values { key: "language" value: "de" } }
      }
      threshold { value_threshold { upper_bound { value: 0.02 } } }
    }
  }
  metrics {
    class_name: "BinaryAccuracy"
    per_slice_thresholds {
      slicing_specs {}
      threshold { change_threshold { direction: LOWER_IS_BETTER absolute { value: 0.01 } } }
    }
    per_slice_thresholds {
      slicing_specs { feature_values { key: "hour" value: "3" } }
      threshold { change_threshold { absolute { value: 0.01 } } }
    }
  }
  metrics {
    class_name: "Precision"
    config: '"thresholds": 0.9999'
    threshold {
      value_threshold { upper_bound { value: 1 } }
      change_threshold { direction: LOWER_IS_BETTER relative { value: 0.5 } }
    }
  }
  metrics { class_name: "Calibration" }
  metrics { class_name: "MeanLabel" threshold { value_threshold {} } }
}
options {
  compute_confidence_intervals { value: true }
  confidence_intervals { method: JACKKNIFE }
}
"""
# Classes, sub keys, averages, weights, a hidden slice, metrics that are named but not measured.
_CLASSES = """
model_specs { label_key: "label" prediction_key: "scores" example_weight_key: "weight" }
slicing_specs {}
slicing_specs { feature_keys: "language" }
metrics_specs {
  metrics { class_name: "SparseCategoricalAccuracy" threshold { value_threshold { lower_bound { value: 0.2 } } } }
  metrics { class_name: "MultiClassConfusionMatrixPlot" config: '"thresholds": [0.3, 0.6]' }
  metrics { class_name: "MultiClassConfusionMatrixAtThresholds" config: '"thresholds": [0.5]' }
  metrics { class_name: "WeightedExampleCount" }
  metrics { class_name: "ExampleCount" }
  thresholds { key: "in_graph" value { value_threshold { lower_bound { value: 0.2 } } } }
}
metrics_specs {
  binarize { class_ids { values: 0 values: 2 } top_k_list { values: 2 } }
  aggregate { macro_average: true class_weights { key: 0 value: 1.0 } class_weights { key: 1 value: 2.0 } }
  example_weights { weighted: true unweighted: true }
  metrics {
    class_name: "Precision"
    per_slice_thresholds {
      slicing_specs { feature_keys: "language" }
      threshold { value_threshold { lower_bound { value: 0.4 } } }
    }
  }
}
metrics_specs {
  binarize { class_ids { values: 1 } }
  metrics { class_name: "ConfusionMatrixPlot" config: '"num_thresholds": 10' }
}
options { min_slice_size { value: 12 } }
"""
_BOOTSTRAP = """
model_specs { label_key: "label" prediction_key: "new" }
slicing_specs {}
metrics_specs {
  metrics { class_name: "MeanSquaredError" threshold { value_threshold { upper_bound { value: 0.9 } } } }
  metrics { class_name: "ExampleCount" }
}
options { compute_confidence_intervals { value: true } confidence_intervals { method: POISSON_BOOTSTRAP } }
"""
_NO_THRESHOLDS = """
model_specs { label_key: "label" prediction_key: "new" }
slicing_specs {}
metrics_specs { metrics { class_name: "MeanPrediction" } }
"""
# Three models and no baseline, with names that hold what stands between names.
_MODELS = r"""
model_specs { name: "linear" label_key: "label" prediction_key: "new" }
model_specs { name: "deep, \"wide\"" label_key: "label" prediction_key: "old" }
model_specs { name: "木" label_key: "label" prediction_key: "guess" }
slicing_specs {}
slicing_specs { feature_keys: "language" }
metrics_specs {
  model_names: "linear" model_names: "deep, \"wide\"" model_names: "木"
  metrics { class_name: "AUC" threshold { value_threshold { lower_bound { value: 0.6 } } } }
  metrics { class_name: "BinaryAccuracy" config: '{"name": "right; (at 0.5), \\"most\\" [é*]"}' }
  metrics { class_name: "ExampleCount" }
  metrics { class_name: "ConfusionMatrixPlot" config: '"num_thresholds": 10' }
}
metrics_specs {
  model_names: "木"
  metrics { class_name: "MeanPrediction" threshold { value_threshold { upper_bound { value: 0.9 } } } }
}
"""
# Two models and a baseline; one predicts infinity, and precision is not a number.
_RIVALS = """
model_specs { name: "one" label_key: "label" prediction_key: "new" }
model_specs { name: "other" label_key: "label" prediction_key: "endless" }
model_specs { name: "before" label_key: "label" prediction_key: "old" is_baseline: true }
slicing_specs {}
slicing_specs { feature_keys: "language" }
cross_slicing_specs {
  baseline_spec {}
  slicing_specs { feature_values { key: "language" value: "fr" } }
}
metrics_specs {
  model_names: "one" model_names: "other" model_names: "before"
  metrics { class_name: "ExampleCount" }
  metrics {
    class_name: "MeanPrediction"
    threshold {
      value_threshold { lower_bound { value: -inf } upper_bound { value: 0.9 } }
      change_threshold { direction: HIGHER_IS_BETTER absolute { value: nan } relative { value: -0.5 } }
    }
  }
  metrics { class_name: "MeanSquaredError" threshold { value_threshold { upper_bound { value: inf } } } }
  metrics { class_name: "Precision" config: '"thresholds": 2.0' threshold { value_threshold { lower_bound { value: 0 } } } }
}
options {
  compute_confidence_intervals { value: true }
  confidence_intervals { method: JACKKNIFE }
}
"""
# Outputs and classes, with and without weights that are each output's own.
_OUTPUTS = """
model_specs {
  label_keys { key: "colour" value: "colour" } label_keys { key: "click" value: "click" }
  prediction_keys { key: "colour" value: "scores" } prediction_keys { key: "click" value: "clicked" }
  example_weight_keys { key: "colour" value: "weight" } example_weight_keys { key: "click" value: "heavy" }
}
slicing_specs {}
slicing_specs { feature_keys: "language" }
metrics_specs {
  output_names: "colour"
  example_weights { weighted: true unweighted: true }
  binarize { class_ids { values: 0 values: 1 } top_k_list { values: 2 } k_list { values: 1 } }
  metrics { class_name: "Precision" threshold { value_threshold { lower_bound { value: 0.1 } } } }
  metrics { class_name: "Recall" }
}
metrics_specs {
  output_names: "colour"
  binarize { class_ids { values: 0 values: 1 } }
  aggregate { micro_average: true }
  metrics { class_name: "F1Score" }
}
metrics_specs {
  output_names: "click" output_names: "colour"
  example_weights { weighted: true unweighted: true }
  metrics { class_name: "ExampleCount" }
  metrics { class_name: "WeightedExampleCount" }
}
metrics_specs {
  output_names: "click"
  example_weights { weighted: true unweighted: true }
  metrics { class_name: "BinaryAccuracy" }
  metrics { class_name: "CalibrationPlot" }
}
"""
# Several labels, only weighted, no slice of all examples, a bound for each of many slices.
_LABELS = """
model_specs { label_key: "labels" prediction_key: "scores" example_weight_key: "weight" }
slicing_specs { feature_keys: "language" }
slicing_specs { feature_keys: "number" }
metrics_specs {
  metrics { class_name: "MultiLabelConfusionMatrixPlot" config: '"thresholds": [0.5]' }
  metrics { class_name: "ExampleCount" }
}
"""
_MANY = """
model_specs { label_key: "label" prediction_key: "scores" }
slicing_specs {}
metrics_specs {
  metrics { class_name: "MultiClassConfusionMatrixPlot" config: '"thresholds": [0.5]' }
  metrics { class_name: "SparseCategoricalAccuracy" }
  metrics { class_name: "ExampleCount" }
}
"""
# A regression in slices of texts, bytes, integers and floats, with bootstrap intervals.
_REGRESSION = """
model_specs { label_key: "fare" prediction_key: "guessed" example_weight_key: "weight" }
slicing_specs {}
slicing_specs { feature_keys: "company" }
slicing_specs { feature_keys: "code" }
slicing_specs { feature_keys: "hour" feature_keys: "distance" }
metrics_specs {
  example_weights { weighted: true unweighted: true }
  metrics { class_name: "MeanSquaredError" threshold { value_threshold { upper_bound { value: 30 } } } }
  metrics {
    class_name: "MeanAbsoluteError"
    per_slice_thresholds {
      slicing_specs { feature_values { key: "company" value: "木 & <Söhne>" } }
      threshold { value_threshold { upper_bound { value: 0.5 } } }
    }
  }
  metrics { class_name: "ExampleCount" }
}
options { compute_confidence_intervals { value: true } confidence_intervals { method: POISSON_BOOTSTRAP } }
"""
_ZONES = """
model_specs { name: "candidate" label_key: "label" prediction_key: "new" }
model_specs { name: "baseline" label_key: "label" prediction_key: "old" is_baseline: true }
slicing_specs {}
slicing_specs { feature_keys: "zone" }
metrics_specs {
  model_names: "candidate" model_names: "baseline"
  metrics { class_name: "ExampleCount" }
  metrics {
    class_name: "BinaryAccuracy"
    threshold { change_threshold { direction: HIGHER_IS_BETTER absolute { value: -0.2 } } }
  }
}
"""


def _rows(count: int) -> pd.DataFrame:
    draw = random.Random(7)
    rows = []
    for number in range(count):
        label = draw.random() < 0.4
        new = min(1.0, max(0.0, draw.gauss(0.65 if label else 0.35, 0.2)))
        rows.append(
            {
                "label": float(label),
                "new": new,
                "old": min(1.0, max(0.0, new + draw.gauss(0, 0.15))),
                "guess": (number * 7 % 10) / 10,
                "endless": float("inf") if number % 3 else 0.5,
                "language": ("de", "fr", "日本")[number % 3],
                "hour": 2 + number % 2,
            }
        )
    return pd.DataFrame(rows)


def _fares(count: int) -> pd.DataFrame:
    draw = random.Random(19)
    rows = []
    for number in range(count):
        distance = (0.5, 1.25, 7.0)[number % 3]
        fare = 3 + 2 * distance + draw.gauss(0, 1)
        rows.append(
            {
                "fare": fare,
                "guessed": fare + draw.gauss(0, 2 if number % 2 else 4),
                "weight": 1.0 + number % 3,
                "company": ("Blue", "木 & <Söhne>")[number % 2],
                "code": (b"a1", "ü".encode())[number % 2],
                "hour": number % 4,
                "distance": distance,
            }
        )
    return pd.DataFrame(rows)


def _zones(count: int) -> pd.DataFrame:
    rows = _rows(count)
    rows["zone"] = [number % 300 for number in range(count)]
    return rows


def _scores(count: int) -> pd.DataFrame:
    draw = random.Random(11)
    rows = []
    for number in range(count):
        label = number % 3
        scores = [draw.random() + (index == label) for index in range(3)]
        rows.append(
            {
                "label": label,
                "scores": [score / sum(scores) for score in scores],
                "weight": 0.5 + number % 2,
                "language": "few" if number < 5 else ("de", "fr")[number % 2],
            }
        )
    return pd.DataFrame(rows)


def _outputs(count: int) -> pd.DataFrame:
    draw = random.Random(13)
    found = []
    for number in range(count):
        scores = [draw.random() for _ in range(3)]
        found.append(
            {
                "colour": number % 3,
                "click": number % 2,
                "scores": [score / sum(scores) for score in scores],
                "clicked": [draw.random()],
                "weight": 0.5 + number % 2,
                "heavy": 10.0,
                "language": ("de", "fr")[number % 2],
            }
        )
    return pd.DataFrame(found)


def _labels(count: int) -> pd.DataFrame:
    draw = random.Random(17)
    return pd.DataFrame(
        {
            "labels": [float(draw.random() < 0.4) for _ in range(4)],
            "scores": [draw.random() for _ in range(4)],
            "weight": 100.0 if number % 2 else 1.0,
            "language": ("de", "fr")[number % 2],
            "number": number % 70,
        }
        for number in range(count)
    )


def _many(count: int) -> pd.DataFrame:
    """Of each class six in ten are predicted right, and the others as the class forty further on."""
    found = []
    for number in range(count):
        label = number % 80
        predicted = label if number // 80 % 10 < 6 else (label + 40) % 80
        found.append(
            {"label": label, "scores": [0.9 if place == predicted else 0.001 for place in range(80)]}
        )
    return pd.DataFrame(found)


def _evaluate(rows: pd.DataFrame, config: config_pb2.EvalConfig, folder: Path, rubber_stamp: bool) -> None:
    """Evaluates predictions as analyze_raw_data does, which knows neither baselines nor rubber stamps."""
    paths = {key: str(folder / key) for key in ("metrics", "plots", "attributions", "validations")}
    writers = [
        writer.MetricsPlotsAndValidationsWriter(paths, config, rubber_stamp=rubber_stamp),
        tfma.writers.EvalConfigWriter(
            str(folder), config, data_location="/data/span-12/*", data_file_format="rows"
        ),
    ]
    batch = table_util.CanonicalizeRecordBatch(pa.RecordBatch.from_pandas(rows))
    # Each of TFMA's 20 samples is a part of the pipeline, and five make intervals as well.
    with (
        mock.patch.object(resampling, "_DEFAULT_NUM_JACKKNIFE_BUCKETS", 5),
        mock.patch.object(resampling, "_DEFAULT_NUM_BOOTSTRAP_SAMPLES", 5),
        beam.Pipeline() as pipeline,
    ):
        _ = (
            pipeline
            | beam.Create([batch])
            | tfma.BatchedInputsToExtracts()
            | tfma.ExtractAndEvaluate(
                extractors=[
                    tfma.extractors.FeaturesExtractor(config),
                    tfma.extractors.LabelsExtractor(config),
                    tfma.extractors.ExampleWeightsExtractor(config),
                    materialized_predictions_extractor.MaterializedPredictionsExtractor(config),
                    tfma.extractors.UnbatchExtractor(),
                    tfma.extractors.SliceKeyExtractor(eval_config=config, materialize=False),
                ],
                evaluators=[
                    tfma.evaluators.MetricsPlotsAndValidationsEvaluator(config, random_seed_for_testing=3)
                ],
            )
            | tfma.WriteResults(writers=writers)
        )


def _attributions(folder: Path) -> None:
    """Writes attributions by TFMA's own conversion."""
    key = metric_types.AttributionsKey
    found = [
        ((), {key(name="mean_attributions"): {"hour": 0.25, "language": -1.5}}),
        ((("language", "de"),), {key(name="mean_attributions"): {"hour": 0.0, "language": float("nan")}}),
        ((("language", "fr"),), {key(name="mean_attributions"): {"hour": 2.0}}),
    ]
    path = str(folder / "attributions-00000-of-00001.tfrecord")
    with tf.io.TFRecordWriter(path) as file:
        for pair in found:
            file.write(writer.convert_slice_attributions_to_proto(pair).SerializeToString())


def _answer(folder: Path, models: tuple[str, ...]) -> dict[str, Any]:
    """What TFMA reads from an evaluation."""
    results = {}
    for model in models:
        result = tfma.load_eval_result(str(folder), model_name=model or None)
        results[model] = {
            "metrics": [[slice_, metrics] for slice_, metrics in result.slicing_metrics],
            "plots": [[slice_, plots] for slice_, plots in result.plots],
            "data_location": result.data_location,
            "file_format": result.file_format,
            "attributions": [[slice_, found] for slice_, found in result.attributions],
        }
    errors = []
    for message in writer.load_and_deserialize_metrics(str(folder)):
        for pair in message.metric_keys_and_values:
            if pair.HasField("confidence_interval"):
                interval = json_format.MessageToDict(pair.confidence_interval)
                errors.append([_slice(message), _key(metric_types.MetricKey.from_proto(pair.key)), interval])
    return {
        "results": results,
        "errors": errors,
        "verdict": json_format.MessageToDict(tfma.load_validation_result(str(folder))),
        "checks": _checks(folder, result.config),
    }


def _checks(folder: Path, config: config_pb2.EvalConfig) -> list[Any]:
    """TFMA's verdict on each threshold in each slice, asked one by one."""
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    verdicts = []
    for message in writer.load_and_deserialize_metrics(str(folder)):
        slice_ = _slice(message)
        metrics = {}
        for pair in message.metric_keys_and_values:
            if pair.value.WhichOneof("type") == "double_value":
                metrics[metric_types.MetricKey.from_proto(pair.key)] = pair.value.double_value.value
        for key, pairs in thresholds.items():
            for spec, threshold in pairs:
                only = {key: [(spec, threshold)]}
                with mock.patch.object(
                    metric_specs, "metric_thresholds_from_metrics_specs", return_value=only
                ):
                    result = metrics_validator.validate_metrics((slice_, metrics), config)
                if result.validation_ok and not result.validation_details.slicing_details:
                    continue  # not for this slice
                bounds = json_format.MessageToDict(threshold)
                verdicts.append([slice_, _key(key), bounds, result.validation_ok])
    return verdicts


def _slice(message: Any) -> Any:
    if message.HasField("cross_slice_key"):
        return slicer_lib.deserialize_cross_slice_key(message.cross_slice_key)
    return slicer_lib.deserialize_slice_key(message.slice_key)


def _key(key: metric_types.MetricKey) -> list[Any]:
    sub = str(key.sub_key) if key.sub_key else ""
    aggregation = str(key.aggregation_type) if key.aggregation_type else ""
    return [key.name, key.model_name, key.output_name, sub, aggregation, key.example_weighted, key.is_diff]


def main(folder: Path) -> None:
    """Makes evaluations and answers in a folder."""
    made = {
        "compared": (_COMPARED, _rows(90), ("candidate", "baseline"), False),
        "classes": (_CLASSES, _scores(40), ("",), False),
        "bootstrap": (_BOOTSTRAP, _rows(20), ("",), True),
        "no_thresholds": (_NO_THRESHOLDS, _rows(8), ("",), False),
        "models": (_MODELS, _rows(30), ("linear", 'deep, "wide"', "木"), False),
        "rivals": (_RIVALS, _rows(60), ("one", "other", "before"), False),
        "outputs": (_OUTPUTS, _outputs(30), ("",), False),
        "labels": (_LABELS, _labels(70), ("",), False),
        "many": (_MANY, _many(800), ("",), False),
        "regression": (_REGRESSION, _fares(36), ("",), False),
        "zones": (_ZONES, _zones(600), ("candidate", "baseline"), False),
    }
    answers = {}
    for name, (config, rows, models, rubber_stamp) in made.items():
        path = folder / name
        _evaluate(rows, text_format.Parse(config, config_pb2.EvalConfig()), path, rubber_stamp)
        if name == "bootstrap":
            for file in path.glob("attributions*"):
                file.unlink()
            _attributions(path)
        answers[name] = _answer(path, models)
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
