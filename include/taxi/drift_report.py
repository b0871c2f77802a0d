"""Reports what drifted between two spans: the artifacts and components of `include.taxi.drift`.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import json
import math
import os
from typing import Any, TypedDict

import tensorflow_data_validation as tfdv
from absl import logging
from tensorflow_data_validation.skew import feature_skew_detector
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.types.artifact import Property, PropertyType

FILE = "report.json"
# Only the larger of a month's two splits is compared.
SPLIT = "train"
_PAIR = f"SplitPair-{SPLIT}_{SPLIT}"


class DriftPolicy(tfx.dsl.Artifact):
    """A reviewed JSON file: how far beyond chance a distance counts as drift, and what always differs.

    {"times_chance": 4.0,            a distance this many times the one by chance is drift
     "bins": 20,                     cells of a histogram that are filled, typically
     "expected": ["trip_start_month"]}  features that are expected to change
    """

    TYPE_NAME = "DriftPolicy"


class DriftReport(tfx.dsl.Artifact):
    """`report.json`: each feature's distance between two spans, the largest first."""

    TYPE_NAME = "DriftReport"
    PROPERTIES = {
        "span": Property(type=PropertyType.INT),
        "baseline_span": Property(type=PropertyType.INT),
        "drifted": Property(type=PropertyType.INT),
        "first": Property(type=PropertyType.STRING),
        "distance": Property(type=PropertyType.FLOAT),
    }


class DriftThreshold(TypedDict):
    """Outputs of `ChanceDistance`."""

    threshold: float


@component
def ChanceDistance(
    statistics: tfx.dsl.components.InputArtifact[standard_artifacts.ExampleStatistics],
    baseline_statistics: tfx.dsl.components.InputArtifact[standard_artifacts.ExampleStatistics],
    policy: tfx.dsl.components.InputArtifact[DriftPolicy],
) -> DriftThreshold:
    """Calculates the distance from which two spans of these sizes count as drifted.

    Two samples of one distribution, of n and m trips over k cells, have an expected Jensen-Shannon
    divergence of about (k - 1) / (8 ln 2) * (1 / n + 1 / m) bits, which the policy multiplies by a factor.

    Args:
        statistics: Of the span.
        baseline_statistics: Of the span that it is compared with.
        policy: Factor and k.

    Returns:
        Threshold of the Jensen-Shannon divergence, from 0 to 1 bit.
    """
    rules = read_policy(policy.uri)
    sizes = [_trips(artifact.uri) for artifact in (statistics, baseline_statistics)]
    chance = (rules["bins"] - 1) / (8 * math.log(2)) * sum(1 / size for size in sizes)
    threshold = min(1.0, rules["times_chance"] * chance)
    logging.info("%d and %d trips differ by %.4f by chance; drift starts at %.4f.", *sizes, chance, threshold)
    return {"threshold": threshold}


@component
def CompareSpans(
    span: tfx.dsl.components.InputArtifact[standard_artifacts.Integer],
    baseline_span: tfx.dsl.components.InputArtifact[standard_artifacts.Integer],
    anomalies: tfx.dsl.components.InputArtifact[standard_artifacts.ExampleAnomalies],
    differences: tfx.dsl.components.InputArtifact[standard_artifacts.ExamplesDiff],
    policy: tfx.dsl.components.InputArtifact[DriftPolicy],
    report: tfx.dsl.components.OutputArtifact[DriftReport],
    threshold: tfx.dsl.components.Parameter[float],
) -> None:
    """Writes the report.

    Args:
        span: The span in question.
        baseline_span: What it is compared with.
        anomalies: Output of DistributionValidator, with the distance of each feature.
        differences: Output of ExampleDiff, with what differs between trips that are alike otherwise.
        policy: Features that are expected to change.
        report: Receives the file; its properties summarize it.
        threshold: Jensen-Shannon divergence from which on a feature has drifted, in bits.
    """
    expected = set(read_policy(policy.uri)["expected"])
    features = [
        {
            "feature": name,
            "distance": distance,
            "drifted": distance > threshold and name not in expected,
            "expected": name in expected,
        }
        for name, distance in sorted(_distances(anomalies.uri).items(), key=lambda item: -item[1])
    ]
    news = [feature for feature in features if feature["drifted"]]
    report.span, report.baseline_span = int(span.value), int(baseline_span.value)
    report.drifted = len(news)
    report.first = news[0]["feature"] if news else ""
    report.distance = news[0]["distance"] if news else 0.0
    content = {
        "span": report.span,
        "baseline_span": report.baseline_span,
        "threshold": threshold,
        "features": features,
        "alike_trips": _alike_trips(differences.uri),
    }
    with tfx.dsl.io.fileio.open(os.path.join(report.uri, FILE), "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
    logging.info(
        "Span %d against %d: %d %s drifted by more than %.4f bits.",
        report.span,
        report.baseline_span,
        len(news),
        "feature" if len(news) == 1 else "features",
        threshold,
    )
    for feature in features:
        note = "drifted" if feature["drifted"] else "expected to change" if feature["expected"] else ""
        logging.info("  %-24s %.4f  %s", feature["feature"], feature["distance"], note)


def read_policy(path: str) -> dict[str, Any]:
    """Reads a DriftPolicy.

    Raises:
        ValueError: A rule is missing, or has an invalid value.
    """
    with tfx.dsl.io.fileio.open(path, "r") as file:
        rules = json.loads(file.read())
    for name, good in (
        ("times_chance", lambda value: value > 0),
        ("bins", lambda value: value > 1),
        ("expected", lambda value: isinstance(value, list)),
    ):
        if name not in rules or not good(rules[name]):
            raise ValueError(
                f"{name!r} in {path!r} has the invalid value {rules.get(name)!r}; see DriftPolicy."
            )
    return rules


def _trips(folder: str) -> int:
    path = os.path.join(folder, f"Split-{SPLIT}", "FeatureStats.pb")
    [dataset] = tfdv.load_stats_binary(path).datasets
    if not dataset.num_examples:
        raise ValueError(f"{path!r} counts no trips: an empty span cannot be compared.")
    return dataset.num_examples


def _distances(folder: str) -> dict[str, float]:
    """Jensen-Shannon divergence in bits by feature."""
    with tfx.dsl.io.fileio.open(os.path.join(folder, _PAIR, "SchemaDiff.pb"), "rb") as file:
        anomalies = anomalies_pb2.Anomalies.FromString(file.read())
    return {
        ".".join(info.path.step): measurement.value
        for info in anomalies.drift_skew_info
        for measurement in info.drift_measurements
    }


def _alike_trips(folder: str) -> list[dict[str, Any]]:
    """By feature, in how many pairs of alike trips of the two spans it differs; most first."""
    rows = [
        {
            "feature": skew.feature_name,
            "pairs": skew.match_count + skew.mismatch_count + skew.base_only + skew.test_only,
            "differ": skew.mismatch_count,
        }
        for skew in feature_skew_detector.skew_results_iterator(os.path.join(folder, _PAIR, "skew_stats"))
    ]
    return sorted(rows, key=lambda row: (-row["differ"], row["feature"]))
