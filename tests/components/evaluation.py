"""Evaluations made by TFMA from predictions in a table, and the same numbers under other thresholds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import apache_beam as beam
import pandas as pd
import pyarrow as pa
import tensorflow_model_analysis as tfma
from google.protobuf import json_format, text_format
from tensorflow_model_analysis.extractors import materialized_predictions_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer
from tfx_bsl.arrow import table_util

from tests.components.patched_beam import patched_beam


def evaluate(rows: pd.DataFrame, config: str, folder: Path) -> Path:
    """Evaluates predictions with a baseline's beside them, which `tfma.analyze_raw_data` cannot.

    Args:
        rows: Labels, predictions and what slices are made of.
        config: EvalConfig, as text.
        folder: Where the evaluation is written.

    Returns:
        The folder.
    """
    eval_config = text_format.Parse(config, config_pb2.EvalConfig())
    paths = {key: str(folder / key) for key in ("metrics", "plots", "attributions", "validations")}
    writers = [
        writer.MetricsPlotsAndValidationsWriter(paths, eval_config),
        tfma.writers.EvalConfigWriter(str(folder), eval_config),
    ]
    batch = table_util.CanonicalizeRecordBatch(pa.RecordBatch.from_pandas(rows))
    extractors = [
        tfma.extractors.FeaturesExtractor(eval_config),
        tfma.extractors.LabelsExtractor(eval_config),
        tfma.extractors.ExampleWeightsExtractor(eval_config),
        materialized_predictions_extractor.MaterializedPredictionsExtractor(eval_config),
        tfma.extractors.UnbatchExtractor(),
        tfma.extractors.SliceKeyExtractor(eval_config=eval_config, materialize=False),
    ]
    evaluators = [tfma.evaluators.MetricsPlotsAndValidationsEvaluator(eval_config, random_seed_for_testing=3)]
    with patched_beam(), beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create([batch])
            | tfma.BatchedInputsToExtracts()
            | tfma.ExtractAndEvaluate(extractors=extractors, evaluators=evaluators)
            | tfma.WriteResults(writers=writers)
        )
    return folder


def with_metrics(evaluation: Path, folder: Path, metrics: str) -> Path:
    """The numbers of an evaluation under other thresholds, on which they do not depend.

    Args:
        evaluation: As `evaluate` wrote it.
        folder: Where the copy goes.
        metrics: `metrics` of the MetricsSpec with their thresholds, as text.

    Returns:
        The copy; TFMA's own verdict, which was on other thresholds, is not in it.
    """
    shutil.copytree(evaluation, folder, ignore=shutil.ignore_patterns("validations*"))
    path = folder / "eval_config.json"
    saved = json.loads(path.read_text())
    config = json_format.ParseDict(saved["evalConfig"], config_pb2.EvalConfig())
    [spec] = config.metrics_specs
    del spec.metrics[:]
    text_format.Merge(metrics, spec)
    path.write_text(json.dumps({**saved, "evalConfig": json_format.MessageToDict(config)}))
    return folder
