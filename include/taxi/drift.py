"""The drift pipeline: how one month of trips differs from another."""

from __future__ import annotations

import os

from tensorflow_metadata.proto.v0 import path_pb2
from tfx import v1 as tfx
from tfx.components.distribution_validator.component import DistributionValidator
from tfx.components.example_diff.component import ExampleDiff
from tfx.proto import distribution_validator_pb2, example_diff_pb2

from include.components.chosen import ChosenNumber, ExamplesOfSpan
from include.taxi import family, pipeline, trips
from include.taxi.drift_report import SPLIT, ChanceDistance, CompareSpans, DriftPolicy

POLICY_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "drift_policy.json")
# The meter counts miles and seconds: where trips that are alike in both cost more, the tariff has changed. Miles are often
# recorded as 0.0, so of such pairs some 7 in 10 differ between any two months.
_ALIKE = ("trip_miles", "trip_seconds")
_COMPARED = ("fare",)
# They differ between any two months.
_TIMES = ("trip_start_timestamp", "trip_start_month")


def create_pipeline(
    pipeline_name: str = "taxi_span_drift",
    pipeline_root: str = "",
    policy_file: str = POLICY_FILE,
    anomaly_from: float = 0.5,
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline; it compares and reports, and stops nothing.

    Both months are examples that `include.taxi.retraining` has read, found in the MLMD store. The distance from which a
    feature counts as drifted depends on the number of trips: `ChanceDistance` calculates it in the run, and
    `CompareSpans` takes it as a parameter. Runtime parameters: "span" and "baseline_span".

    Args:
        pipeline_name: Name under which runs and artifacts are recorded.
        pipeline_root: Folder for the artifacts.
        policy_file: Reviewed rules, see `DriftPolicy`.
        anomaly_from: Jensen-Shannon divergence, in bits, from which on DistributionValidator calls it an anomaly.
        beam_pipeline_args: Options for Beam; None for the in-memory runner with one worker.
        enable_cache: Whether a component with unchanged inputs reuses its earlier outputs.

    Returns:
        The pipeline, to be run by any TFX orchestrator.
    """
    # Imported again in every run: by its path alone an edited policy would be taken for the old one.
    policy = tfx.dsl.Importer(source_uri=policy_file, artifact_type=DriftPolicy, reimport=True).with_id(
        "drift_policy"
    )
    span, examples, statistics = _span_of("span")
    baseline_span, baseline_examples, baseline_statistics = _span_of("baseline_span")
    validator = DistributionValidator(
        statistics=statistics.outputs["statistics"],
        baseline_statistics=baseline_statistics.outputs["statistics"],
        config=_every_column(anomaly_from),
        include_split_pairs=[(SPLIT, SPLIT)],
    )
    differ = ExampleDiff(
        examples_test=examples.outputs["examples"],
        examples_base=baseline_examples.outputs["examples"],
        config=example_diff_pb2.ExampleDiffConfig(
            paired_example_skew=example_diff_pb2.PairedExampleSkew(
                identifier_features=_ALIKE,
                ignore_features=[name for name in trips.COLUMNS if name not in (*_ALIKE, *_COMPARED)],
                float_round_ndigits=2,
                allow_duplicate_identifiers=True,
            )
        ),
        include_split_pairs=[(SPLIT, SPLIT)],
    )
    chance = ChanceDistance(
        statistics=statistics.outputs["statistics"],
        baseline_statistics=baseline_statistics.outputs["statistics"],
        policy=policy.outputs["result"],
    )
    report = CompareSpans(
        span=span.outputs["chosen"],
        baseline_span=baseline_span.outputs["chosen"],
        anomalies=validator.outputs["anomalies"],
        differences=differ.outputs["example_diff_result"],
        policy=policy.outputs["result"],
        threshold=chance.outputs["threshold"].future()[0].value,
    )
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[
            policy,
            span,
            baseline_span,
            examples,
            baseline_examples,
            statistics,
            baseline_statistics,
            validator,
            differ,
            chance,
            report,
        ],
        enable_cache=enable_cache,
        beam_pipeline_args=list(beam_pipeline_args or pipeline.DEFAULT_BEAM_ARGS),
    )


def _span_of(
    parameter: str,
) -> tuple[tfx.types.BaseComponent, tfx.dsl.Resolver, tfx.components.StatisticsGen]:
    """The nodes that turn a runtime parameter into examples and their statistics."""
    chosen = ChosenNumber(number=tfx.dsl.experimental.RuntimeParameter(name=parameter, ptype=int)).with_id(
        parameter
    )
    examples = tfx.dsl.Resolver(
        strategy_class=ExamplesOfSpan, examples=family.spans(), span=chosen.outputs["chosen"]
    ).with_id(f"examples_of_{parameter}")
    statistics = tfx.components.StatisticsGen(
        examples=examples.outputs["examples"], exclude_splits=["eval"]
    ).with_id(f"statistics_of_{parameter}")
    return chosen, examples, statistics


def _every_column(threshold: float) -> distribution_validator_pb2.DistributionValidatorConfig:
    config = distribution_validator_pb2.DistributionValidatorConfig()
    for name in trips.COLUMNS:
        if name in _TIMES:
            continue
        feature = config.default_slice_config.feature.add(path=path_pb2.Path(step=[name]))
        feature.distribution_comparator.jensen_shannon_divergence.threshold = threshold
    return config
