"""Reads from statistics only how the values of each feature are distributed, all of it, as distances need it."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.files import messages, protos
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import splits, statistics
from mlmd_panel.payloads.data.feature_statistics import name_of
from mlmd_panel.payloads.data.histograms import (
    Bucket,
    Histogram,
    RankHistogram,
    enum_name,
    rank_histogram,
    text,
)
from mlmd_panel.store.records import Artifact

MAX_FEATURES = statistics.MAX_FEATURES
Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """How the values of a feature are distributed.

    Attributes:
      name: Steps of its path, joined by dots.
      type: INT, FLOAT, STRING, BYTES or STRUCT.
      present: Number of examples that have it, by weight if the distribution is.
      missing: Number of examples that have not.
      total: Number of values.
      values: How often each of the most frequent values is; empty of numbers. TFDV keeps 1,000 by default.
      ranks: The same as pages show it, or None.
      histograms: A numeric feature's own, by kind: STANDARD and QUANTILES.
      categorical: It is a feature of texts or categories.
      numeric: It is a feature of numbers.
    """

    name: str
    type: str
    present: float
    missing: float
    total: float
    values: dict[str, float]
    ranks: RankHistogram | None
    histograms: dict[str, Histogram]
    categorical: bool
    numeric: bool


@dataclasses.dataclass(frozen=True)
class SplitDistributions:
    """Distributions of all examples of a split.

    Attributes:
      split: Its name; "" when the artifact has no splits.
      examples: Number of examples.
      features: By path.
      weighted: The same with the weights of examples; empty distributions of features without.
      has_weights: All features have weights, so that TFDV measures with them.
      left_out: Paths of the features beyond MAX_FEATURES, which are not read.
    """

    split: str
    examples: int
    features: dict[Path, Distribution]
    weighted: dict[Path, Distribution]
    has_weights: bool
    left_out: frozenset[Path] = frozenset()


@dataclasses.dataclass(frozen=True)
class Distributions:
    """Distributions of each split.

    Attributes:
      splits: By name, in the order of the artifact's `split_names`.
      problems: Sentences about what could not be read.
    """

    splits: dict[str, SplitDistributions]
    problems: tuple[str, ...]


def read(artifact: Artifact, files: Files) -> Distributions:
    """Reads the distributions in an ExampleStatistics.

    Raises:
      PayloadGone: The files are gone.
      PayloadError: They are broken, too large, or of another kind.
    """
    found = splits.find(artifact, files, statistics.KNOWN, "statistics")
    problems = list(found.problems)

    def made(one: splits.SplitFiles) -> SplitDistributions | None:
        dataset, shown = _dataset(artifact, files, one, problems)
        if dataset is None:
            problems.append(f"{shown} has no statistics of all examples.")
            return None
        with protos.sound(shown, "DatasetFeatureStatisticsList"):
            return _split(one.split, dataset)

    read_splits = splits.each(found.splits, made, problems)
    return Distributions({one.split: one for one in read_splits if one is not None}, tuple(problems))


def counts(artifact: Artifact, files: Files) -> dict[str, int]:
    """Number of examples of each split in an ExampleStatistics.

    Raises:
      PayloadError: As for `read`; also when one split cannot be read.
    """
    numbers: dict[str, int] = {}
    problems: list[str] = []
    for one in splits.find(artifact, files, statistics.KNOWN, "statistics").splits:
        dataset, _ = _dataset(artifact, files, one, problems)
        if dataset is not None:
            numbers[one.split] = dataset.num_examples
    return numbers


def _dataset(
    artifact: Artifact, files: Files, one: splits.SplitFiles, problems: list[str]
) -> tuple[Any, str]:
    """The dataset of all examples, or None; and how the file is called."""
    message = messages.read(files, artifact.uri, one.names, statistics.MESSAGE, statistics.MAX_MESSAGES)
    shown = one.names[0] or "The artifact's file"
    with protos.sound(shown, "DatasetFeatureStatisticsList"):
        merged = statistics.merged(message.datasets, shown, problems)
        return next((found for found in merged if found.name in ("", statistics.ALL)), None), shown


def _split(name: str, dataset: Any) -> SplitDistributions:
    features = list(dataset.features[:MAX_FEATURES])
    return SplitDistributions(
        name,
        dataset.num_examples,
        {statistics.path_of(proto): _distribution(proto, False) for proto in features},
        {statistics.path_of(proto): _distribution(proto, True) for proto in features},
        bool(dataset.weighted_num_examples) and all(map(_has_weights, features)),
        frozenset(map(statistics.path_of, dataset.features[MAX_FEATURES:])),
    )


def _has_weights(proto: Any) -> bool:
    kind = proto.WhichOneof("stats")
    if (
        kind is None
    ):  # TFDV skips those without any, and takes those with custom statistics only for unweighted
        return not proto.custom_stats
    return getattr(proto, kind).common_stats.HasField("weighted_common_stats")


def _distribution(proto: Any, weighted: bool) -> Distribution:
    kind = proto.WhichOneof("stats") or ""
    common = getattr(proto, kind).common_stats if kind else None
    if common is not None and weighted:
        common = common.weighted_common_stats
    strings = proto.string_stats.weighted_string_stats if weighted else proto.string_stats
    numbers = proto.num_stats.weighted_numeric_stats if weighted else proto.num_stats
    ranks = strings.rank_histogram
    values: dict[str, float] = {}
    for bucket in ranks.buckets:
        values.setdefault(_label(bucket.label), bucket.sample_count)
    histograms: dict[str, Histogram] = {}
    for found in numbers.histograms:
        histograms.setdefault(enum_name(found, "type"), _histogram(found))
    return Distribution(
        name=name_of(proto),
        type=enum_name(proto, "type"),
        present=common.num_non_missing if common else 0,
        missing=common.num_missing if common else 0,
        total=common.tot_num_values if common else 0,
        values=values,
        ranks=rank_histogram(ranks) if ranks.buckets else None,
        histograms=histograms,
        categorical=kind == "string_stats",
        numeric=kind == "num_stats",
    )


def _label(value: str | bytes) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def _histogram(proto: Any) -> Histogram:
    """With all its buckets: what is left out would change the distance."""
    buckets = tuple(Bucket(b.low_value, b.high_value, b.sample_count) for b in proto.buckets)
    return Histogram(
        enum_name(proto, "type"), text(proto.name), proto.num_nan, proto.num_undefined, buckets, False
    )
