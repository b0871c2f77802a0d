"""Makes `context.show` show rows, statistics and evaluations as tables, which need no network and no widget.

TFX's own view of statistics is a page whose scripts the browser fetches from cdnjs.cloudflare.com and
raw.githubusercontent.com; its view of an evaluation is a widget that JupyterLab cannot draw.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import pandas as pd
import tensorflow as tf
import tensorflow_data_validation as tfdv
from IPython.display import HTML, display
from tensorflow_metadata.proto.v0 import statistics_pb2
from tensorflow_model_analysis.proto import metrics_for_slice_pb2
from tfx.orchestration.experimental.interactive import visualizations
from tfx.types import Artifact, artifact_utils, standard_artifacts

from include.tfx_airflow.tfx_side import evaluations

_ROWS = 5
_COMMON_VALUES = 3
_BARS = "▁▂▃▄▅▆▇█"


def register() -> None:
    """Makes `context.show` use these tables; call it after the InteractiveContext is made."""
    for table in (_Rows, _Statistics, _Evaluation):
        visualizations.get_registry().register(table)


def records(examples: Artifact, split: str, count: int) -> list[bytes]:
    """Reads the first serialized tf.Examples of a split, raw or transformed.

    Args:
        examples: Artifact of type Examples, in gzipped TFRecords.
        split: Name of one of its splits.
        count: How many to read at most.

    Returns:
        `count` serialized tf.Examples, fewer when the split has no more.
    """
    files = tf.io.gfile.glob(os.path.join(artifact_utils.get_split_uri([examples], split), "*"))
    return list(tf.data.TFRecordDataset(sorted(files), "GZIP").take(count).as_numpy_iterator())


def rows(serialized: list[bytes]) -> pd.DataFrame:
    """Decodes tf.Examples that have at most one value per feature.

    Args:
        serialized: Serialized tf.Examples.

    Returns:
        One line per example, one column per feature; None or NaN where there is no value.
    """
    lines = []
    for record in serialized:
        features = tf.train.Example.FromString(record).features.feature
        lines.append({name: _value(features[name]) for name in sorted(features)})
    return pd.DataFrame(lines)


def number_statistics(statistics: Artifact) -> pd.DataFrame:
    """Statistics of the numeric features of all splits.

    Args:
        statistics: Artifact of type ExampleStatistics.

    Returns:
        One line per feature, at most one value per row, and split. Shares are of all rows; `values` is the
        histogram in ten equal steps from min to max.
    """
    lines: dict[tuple[str, str], dict[str, object]] = {}
    for split, name, feature, count in _features(statistics, "num_stats"):
        found = feature.num_stats
        present = found.common_stats.tot_num_values
        lines[name, split] = {"missing": f"{1 - present / count:.1%}"}
        if not present:
            continue
        lines[name, split] |= {
            "zero": f"{found.num_zeros / count:.1%}",
            "mean": found.mean,
            "std": found.std_dev,
            "min": found.min,
            "median": found.median,
            "max": found.max,
            "values": _bars(found.histograms),
        }
    return _by_feature(lines)


def text_statistics(statistics: Artifact) -> pd.DataFrame:
    """Statistics of the string features of all splits.

    Args:
        statistics: Artifact of type ExampleStatistics.

    Returns:
        One line per feature, at most one value per row, and split. Shares are of all rows.
    """
    lines: dict[tuple[str, str], dict[str, object]] = {}
    for split, name, feature, count in _features(statistics, "string_stats"):
        found = feature.string_stats
        often = [f"{top.value} {top.frequency / count:.1%}" for top in found.top_values[:_COMMON_VALUES]]
        lines[name, split] = {
            "missing": f"{1 - found.common_stats.tot_num_values / count:.1%}",
            "distinct": found.unique,
            "most common": ", ".join(often),
        }
    return _by_feature(lines)


def metrics(evaluation: Artifact) -> pd.DataFrame:
    """Metrics of the candidate model.

    Args:
        evaluation: Artifact of type ModelEvaluation.

    Returns:
        One line per slice and metric, the slice of all rows first: value, ends of the 95 % confidence
        interval, and change, the difference from the blessed model. NaN where there is none.
    """
    lines: dict[tuple[str, str], dict[str, float]] = {}
    found = evaluations.numbers(evaluation.uri)
    for number in sorted(found, key=lambda number: (_place(number.record), number.key.name)):
        place = ", ".join(f"{column} = {value}" for column, _, value in _place(number.record)) or "all"
        line = lines.setdefault((place, number.key.name), {})
        if number.key.is_diff:
            line["change"] = number.value
        else:
            line |= {"value": number.value, **number.interval}
    index = pd.MultiIndex.from_tuples(lines, names=["slice", "metric"])
    return pd.DataFrame(lines.values(), index=index, columns=["value", "lower", "upper", "change"])


class _Rows(visualizations.ArtifactVisualization):
    ARTIFACT_TYPE = standard_artifacts.Examples

    def display(self, artifact: Artifact) -> None:
        for split in artifact_utils.decode_split_names(artifact.split_names):
            _show(f"First rows of the {split} split", rows(records(artifact, split, _ROWS)))


class _Statistics(visualizations.ArtifactVisualization):
    ARTIFACT_TYPE = standard_artifacts.ExampleStatistics

    def display(self, artifact: Artifact) -> None:
        _show("Numbers", number_statistics(artifact))
        _show("Text", text_statistics(artifact))


class _Evaluation(visualizations.ArtifactVisualization):
    ARTIFACT_TYPE = standard_artifacts.ModelEvaluation

    def display(self, artifact: Artifact) -> None:
        found = metrics(artifact)
        _show("All examples", found.loc["all"].dropna(axis="columns", how="all"))
        _show("By slice", found["value"].unstack("metric").reindex(found.index.unique("slice")).drop("all"))


def _show(title: str, frame: pd.DataFrame) -> None:
    options = {"float_format": "{:.6g}".format, "max_colwidth": None, "max_columns": None, "max_rows": None}
    with pd.option_context(*(item for name, value in options.items() for item in (f"display.{name}", value))):
        display(HTML(f"<b>{title}</b>"), frame)


def _value(feature: tf.train.Feature) -> float | int | str | None:
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else ()
    return _text(values[0]) if values else None


def _text(value: float | int | bytes) -> float | int | str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _place(record: metrics_for_slice_pb2.MetricsForSlice) -> list[tuple[str, bool, float | int | str]]:
    """The columns and values that make a slice, in an order in which numbers come before text."""
    keys = record.slice_key.single_slice_keys
    values = [_text(getattr(key, key.WhichOneof("kind"))) for key in keys]
    return [(key.column, isinstance(value, str), value) for key, value in zip(keys, values, strict=True)]


def _features(
    statistics: Artifact, kind: str
) -> Iterator[tuple[str, str, statistics_pb2.FeatureNameStatistics, int]]:
    """Split, name, statistics, and how many rows the split has."""
    for split in artifact_utils.decode_split_names(statistics.split_names):
        folder = artifact_utils.get_split_uri([statistics], split)
        [dataset] = tfdv.load_stats_binary(os.path.join(folder, "FeatureStats.pb")).datasets
        for feature in dataset.features:
            if feature.WhichOneof("stats") == kind:
                yield split, ".".join(feature.path.step), feature, max(dataset.num_examples, 1)


def _by_feature(lines: dict[tuple[str, str], dict[str, object]]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(lines, names=["feature", "split"])
    return pd.DataFrame(lines.values(), index=index).sort_index(level="feature", sort_remaining=False)


def _bars(histograms: list[statistics_pb2.Histogram]) -> str:
    for histogram in histograms:
        if histogram.type == statistics_pb2.Histogram.STANDARD:
            counts = [bucket.sample_count for bucket in histogram.buckets]
            most = max(counts, default=0) or 1
            # A few rows should still look different from none.
            return "".join(_BARS[math.ceil(7 * (count / most))] for count in counts)
    return ""
