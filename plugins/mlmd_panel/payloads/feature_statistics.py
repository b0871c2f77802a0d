"""Statistics of one feature, of tensorflow_metadata's FeatureNameStatistics."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.payloads.histograms import (
    Histogram,
    RankHistogram,
    enum_name,
    histogram,
    rank_histogram,
    some,
    text,
)

MAX_HISTOGRAMS = 20
MAX_VALUES = 100
MAX_CUSTOM = 100


@dataclasses.dataclass(frozen=True)
class ValueCount:
    """A value and how often it is; a fraction when examples have weights."""

    value: str
    count: float


@dataclasses.dataclass(frozen=True)
class WeightedCounts:
    """Counts in which each example counts by its weight."""

    present: float
    missing: float
    average_values: float
    total_values: float


@dataclasses.dataclass(frozen=True)
class NumericStatistics:
    """Of a feature of numbers.

    Attributes:
      mean: Of all values, as are the next.
      std_dev: Standard deviation.
      zeros: Number of values that are 0.
      min: Smallest.
      median: Middle.
      max: Largest.
      histograms: STANDARD and QUANTILES.
      weighted_mean: With the weights of examples, as are the next; None without weights.
      weighted_std_dev: Standard deviation.
      weighted_median: Middle.
      weighted_histograms: As `histograms`.
    """

    mean: float
    std_dev: float
    zeros: int
    min: float
    median: float
    max: float
    histograms: tuple[Histogram, ...]
    weighted_mean: float | None = None
    weighted_std_dev: float | None = None
    weighted_median: float | None = None
    weighted_histograms: tuple[Histogram, ...] = ()


@dataclasses.dataclass(frozen=True)
class StringStatistics:
    """Of a feature of texts, or of numbers that stand for categories.

    Attributes:
      unique: Number of different values.
      top: The most frequent values; TFDV writes `__BYTES_VALUE__` for one that is no text.
      average_length: Characters.
      ranks: Frequencies by rank, or None.
      invalid_utf8: Number of values that are no text.
      weighted_top: With the weights of examples.
      weighted_ranks: With the weights of examples, or None.
      cut: Values were left out.
    """

    unique: int
    top: tuple[ValueCount, ...]
    average_length: float
    ranks: RankHistogram | None
    invalid_utf8: int
    weighted_top: tuple[ValueCount, ...]
    weighted_ranks: RankHistogram | None
    cut: bool


@dataclasses.dataclass(frozen=True)
class BytesStatistics:
    """Of a feature of bytes that are no text, such as images; lengths in bytes."""

    unique: int
    average_bytes: float
    min_bytes: float
    max_bytes: float


@dataclasses.dataclass(frozen=True)
class CustomStatistic:
    """A statistic that a generator of the user's, or one of TFDV's optional ones, made.

    Attributes:
      name: Its name.
      value: Number or text; name of the message's type of what is neither; None of a histogram.
      histogram: Or None.
      ranks: Or None.
    """

    name: str
    value: float | str | None = None
    histogram: Histogram | None = None
    ranks: RankHistogram | None = None


@dataclasses.dataclass(frozen=True)
class FeatureStatistics:
    """What was measured of a feature.

    Attributes:
      name: Steps of its path, joined by dots.
      type: INT, FLOAT, STRING, BYTES or STRUCT.
      present: Number of examples that have it.
      missing: Number of examples that have not.
      min_values: Smallest number of values in an example that has it.
      max_values: Largest number.
      average_values: Their average.
      total_values: Number of all values.
      values_histogram: Number of values per example, or None.
      list_lengths: Lengths of the lists of a SequenceExample, or None.
      weighted: Counts with the weights of examples, or None.
      numeric: Of numbers, else None.
      strings: Of texts and categories, else None.
      bytes: Of bytes, else None.
      custom: Further ones.
      derived: TFDV derived the feature from others while validating.
      cut: Histograms or further statistics were left out.
    """

    name: str
    type: str
    present: int
    missing: int
    min_values: int
    max_values: int
    average_values: float
    total_values: int
    values_histogram: Histogram | None
    list_lengths: Histogram | None
    weighted: WeightedCounts | None
    numeric: NumericStatistics | None
    strings: StringStatistics | None
    bytes: BytesStatistics | None
    custom: tuple[CustomStatistic, ...]
    derived: bool
    cut: bool


def path_of(proto: Any) -> str:
    """Name of the feature at a tensorflow.metadata.v0.Path."""
    return text(".".join(map(text, proto.step[:20])))


def feature(proto: Any) -> FeatureStatistics:
    """Of a tensorflow.metadata.v0.FeatureNameStatistics."""
    stats = proto.WhichOneof("stats")
    measured = getattr(proto, stats) if stats else None
    # Without any, the message of the first kind: it has common statistics, all of them 0.
    common = (measured if stats else proto.num_stats).common_stats
    custom, cut = some(proto.custom_stats, MAX_CUSTOM)
    numeric, more = _numeric(measured) if stats == "num_stats" else (None, False)
    return FeatureStatistics(
        name=path_of(proto.path) if proto.WhichOneof("field_id") == "path" else text(proto.name),
        type=enum_name(proto, "type"),
        present=common.num_non_missing,
        missing=common.num_missing,
        min_values=common.min_num_values,
        max_values=common.max_num_values,
        average_values=common.avg_num_values,
        total_values=common.tot_num_values,
        values_histogram=_one(common, "num_values_histogram"),
        list_lengths=_one(common, "feature_list_length_histogram"),
        weighted=_weighted(common.weighted_common_stats)
        if common.HasField("weighted_common_stats")
        else None,
        numeric=numeric,
        strings=_strings(measured) if stats == "string_stats" else None,
        bytes=_bytes(measured) if stats == "bytes_stats" else None,
        custom=tuple(map(_custom, custom)),
        derived=proto.HasField("validation_derived_source"),
        cut=cut or more,
    )


def _one(message: Any, field: str) -> Histogram | None:
    return histogram(getattr(message, field)) if message.HasField(field) else None


def _ranks(message: Any, field: str) -> RankHistogram | None:
    return rank_histogram(getattr(message, field)) if message.HasField(field) else None


def _weighted(proto: Any) -> WeightedCounts:
    return WeightedCounts(
        proto.num_non_missing, proto.num_missing, proto.avg_num_values, proto.tot_num_values
    )


def _numeric(proto: Any) -> tuple[NumericStatistics, bool]:
    weighted = proto.weighted_numeric_stats if proto.HasField("weighted_numeric_stats") else None
    histograms, cut = some(proto.histograms, MAX_HISTOGRAMS)
    weighted_histograms, more = some(weighted.histograms, MAX_HISTOGRAMS) if weighted else ([], False)
    made = NumericStatistics(
        mean=proto.mean,
        std_dev=proto.std_dev,
        zeros=proto.num_zeros,
        min=proto.min,
        median=proto.median,
        max=proto.max,
        histograms=tuple(map(histogram, histograms)),
        weighted_mean=weighted.mean if weighted else None,
        weighted_std_dev=weighted.std_dev if weighted else None,
        weighted_median=weighted.median if weighted else None,
        weighted_histograms=tuple(map(histogram, weighted_histograms)),
    )
    return made, cut or more


def _strings(proto: Any) -> StringStatistics:
    top, cut = some(proto.top_values, MAX_VALUES)
    weighted_top, more = some(proto.weighted_string_stats.top_values, MAX_VALUES)
    return StringStatistics(
        unique=proto.unique,
        top=tuple(ValueCount(text(item.value), item.frequency) for item in top),
        average_length=proto.avg_length,
        ranks=_ranks(proto, "rank_histogram"),
        invalid_utf8=proto.invalid_utf8_count,
        weighted_top=tuple(ValueCount(text(item.value), item.frequency) for item in weighted_top),
        weighted_ranks=_ranks(proto.weighted_string_stats, "rank_histogram"),
        cut=cut or more,
    )


def _bytes(proto: Any) -> BytesStatistics:
    longest = proto.max_num_bytes_int or proto.max_num_bytes
    return BytesStatistics(proto.unique, proto.avg_num_bytes, proto.min_num_bytes, longest)


def _custom(proto: Any) -> CustomStatistic:
    name, kind = text(proto.name), proto.WhichOneof("val")
    if kind == "histogram":
        return CustomStatistic(name, histogram=histogram(proto.histogram))
    if kind == "rank_histogram":
        return CustomStatistic(name, ranks=rank_histogram(proto.rank_histogram))
    if kind == "any":
        return CustomStatistic(name, text(proto.any.type_url).rpartition("/")[2])
    value = getattr(proto, kind) if kind else None
    return CustomStatistic(name, text(value) if isinstance(value, (str, bytes)) else value)
