"""Reads the statistics of a feature from FeatureNameStatistics messages."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from mlmd_panel.payloads.data.custom_statistics import CustomStatistic, custom_statistic
from mlmd_panel.payloads.data.histograms import (
    Histogram,
    RankHistogram,
    enum_name,
    first_items,
    histogram,
    rank_histogram,
    text,
)

MAX_HISTOGRAMS = 20
MAX_VALUES = 100
MAX_CUSTOM = 100
MAX_LEVELS = 20


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
class Level:
    """Counts at one level of lists in lists, the outermost first; each but the first counts lists instead of examples.

    Attributes:
      present: Number that have values.
      missing: Number that have none.
      min_values: Smallest number of values in one.
      max_values: Largest number.
      total_values: Number of all.
      weighted: The same with weights, or None.
    """

    present: int
    missing: int
    min_values: int
    max_values: int
    total_values: int
    weighted: WeightedCounts | None


@dataclasses.dataclass(frozen=True)
class NumericStatistics:
    """Of a feature of numbers.

    Attributes:
      mean: Mean of the values that are numbers, as are the next; None when there are none.
      std_dev: Standard deviation; None, too, when the mean is infinite or NaN, for which TFDV writes 0.
      zeros: Number of values that are 0.
      min: Smallest; may be infinite.
      median: Middle.
      max: Largest.
      nan: Number of values that are not a number (NaN).
      histograms: STANDARD and QUANTILES.
      weighted_mean: With the weights of examples, as are the next; None without weights or values.
      weighted_std_dev: Standard deviation.
      weighted_median: Middle.
      weighted_histograms: As `histograms`.
    """

    mean: float | None
    std_dev: float | None
    zeros: int
    min: float | None
    median: float | None
    max: float | None
    nan: int
    histograms: tuple[Histogram, ...]
    weighted_mean: float | None = None
    weighted_std_dev: float | None = None
    weighted_median: float | None = None
    weighted_histograms: tuple[Histogram, ...] = ()


@dataclasses.dataclass(frozen=True)
class StringStatistics:
    """Of a feature of texts, or of numbers that stand for categories.

    Attributes:
      unique: Number of different values; None where TFDV did not count.
      top: The most frequent values; TFDV writes `__BYTES_VALUE__` for one that is no text.
      average_length: Bytes.
      ranks: Frequencies by rank, or None.
      invalid_utf8: Number of values that are no text.
      vocabulary_file: Where TFDV wrote all values, or empty.
      weighted_top: With the weights of examples.
      weighted_ranks: With the weights of examples, or None.
      cut: Values were left out.
    """

    unique: int | None
    top: tuple[ValueCount, ...]
    average_length: float
    ranks: RankHistogram | None
    invalid_utf8: int
    vocabulary_file: str
    weighted_top: tuple[ValueCount, ...]
    weighted_ranks: RankHistogram | None
    cut: bool


@dataclasses.dataclass(frozen=True)
class BytesStatistics:
    """Of a feature of bytes that are no text, such as images; lengths in bytes; `unique` None where not counted."""

    unique: int | None
    average_bytes: float
    min_bytes: float
    max_bytes: float


@dataclasses.dataclass(frozen=True)
class FeatureStatistics:
    """What was measured of a feature.

    Attributes:
      name: Steps of its path, joined by dots.
      type: INT, FLOAT, STRING, BYTES or STRUCT; empty of one with nothing but custom statistics.
      present: Number of examples that have it; None, as are the next, where TFDV did not count.
      missing: Number of examples that have not.
      min_values: Smallest number of values in an example that has it.
      max_values: Largest number.
      average_values: Their average.
      total_values: Number of all values.
      values_histogram: Number of values per example, or None.
      list_lengths: Lengths of the lists of a SequenceExample, or None.
      weighted: Counts with the weights of examples, or None.
      levels: Depths of nested lists; empty for a feature without.
      numeric: Statistics of a numeric feature, else None.
      strings: Statistics of texts and categories, else None.
      bytes: Statistics of a feature of bytes, else None.
      custom: Further ones.
      derived: TFDV derived the feature from others while validating.
      cut: Histograms or further statistics were left out.
    """

    name: str
    type: str
    present: int | None
    missing: int | None
    min_values: int | None
    max_values: int | None
    average_values: float | None
    total_values: int | None
    values_histogram: Histogram | None
    list_lengths: Histogram | None
    weighted: WeightedCounts | None
    levels: tuple[Level, ...]
    numeric: NumericStatistics | None
    strings: StringStatistics | None
    bytes: BytesStatistics | None
    custom: tuple[CustomStatistic, ...]
    derived: bool
    cut: bool


def path_of(proto: Any) -> str:
    """Name of the feature at a tensorflow.metadata.v0.Path."""
    return text(".".join(map(text, proto.step[:20])))


def name_of(proto: Any) -> str:
    """Name of the feature of a tensorflow.metadata.v0.FeatureNameStatistics."""
    return path_of(proto.path) if proto.WhichOneof("field_id") == "path" else text(proto.name)


def feature(proto: Any) -> FeatureStatistics:
    """Of a tensorflow.metadata.v0.FeatureNameStatistics."""
    stats = proto.WhichOneof("stats")
    measured = getattr(proto, stats) if stats else None
    common = measured.common_stats if measured is not None else None
    custom, cut = first_items(proto.custom_stats, MAX_CUSTOM)
    numeric, more = _numeric(measured) if stats == "num_stats" else (None, False)
    return FeatureStatistics(
        name=name_of(proto),
        type=enum_name(proto, "type") if stats else "",
        present=common.num_non_missing if common else None,
        missing=common.num_missing if common else None,
        min_values=common.min_num_values if common else None,
        max_values=common.max_num_values if common else None,
        average_values=common.avg_num_values if common else None,
        total_values=common.tot_num_values if common else None,
        values_histogram=_one(common, "num_values_histogram"),
        list_lengths=_one(common, "feature_list_length_histogram"),
        weighted=_weighted(common.weighted_common_stats)
        if common and common.HasField("weighted_common_stats")
        else None,
        levels=_levels(common) if common else (),
        numeric=numeric,
        strings=_strings(measured) if stats == "string_stats" else None,
        bytes=_bytes(measured) if stats == "bytes_stats" else None,
        custom=tuple(map(custom_statistic, custom)),
        derived=proto.HasField("validation_derived_source"),
        cut=cut or more,
    )


def _one(message: Any, field: str) -> Histogram | None:
    return histogram(getattr(message, field)) if message and message.HasField(field) else None


def _ranks(message: Any, field: str) -> RankHistogram | None:
    return rank_histogram(getattr(message, field)) if message.HasField(field) else None


def _weighted(proto: Any) -> WeightedCounts:
    return WeightedCounts(
        proto.num_non_missing, proto.num_missing, proto.avg_num_values, proto.tot_num_values
    )


def _levels(proto: Any) -> tuple[Level, ...]:
    weighted = proto.weighted_presence_and_valency_stats
    return tuple(
        Level(
            level.num_non_missing,
            level.num_missing,
            level.min_num_values,
            level.max_num_values,
            level.tot_num_values,
            _weighted(weighted[place]) if place < len(weighted) else None,
        )
        for place, level in enumerate(proto.presence_and_valency_stats[:MAX_LEVELS])
    )


def _numeric(proto: Any) -> tuple[NumericStatistics, bool]:
    nan = max((found.num_nan for found in proto.histograms), default=0)
    # Of values that are all NaN, TFDV sets nothing but their number.
    measured = proto.common_stats.tot_num_values > nan or any(
        bucket.sample_count for found in proto.histograms for bucket in found.buckets
    )
    weighted = proto.weighted_numeric_stats if proto.HasField("weighted_numeric_stats") else None
    histograms, cut = first_items(proto.histograms, MAX_HISTOGRAMS)
    weighted_histograms, more = first_items(weighted.histograms, MAX_HISTOGRAMS) if weighted else ([], False)
    made = NumericStatistics(
        mean=proto.mean if measured else None,
        std_dev=_deviation(proto) if measured else None,
        zeros=proto.num_zeros,
        min=proto.min if measured else None,
        median=proto.median if measured else None,
        max=proto.max if measured else None,
        nan=nan,
        histograms=tuple(map(histogram, histograms)),
        weighted_mean=weighted.mean if weighted and measured else None,
        weighted_std_dev=_deviation(weighted) if weighted and measured else None,
        weighted_median=weighted.median if weighted and measured else None,
        weighted_histograms=tuple(map(histogram, weighted_histograms)),
    )
    return made, cut or more


def _deviation(proto: Any) -> float | None:
    return proto.std_dev if math.isfinite(proto.mean) or proto.std_dev else None


def _strings(proto: Any) -> StringStatistics:
    top, cut = first_items(proto.top_values, MAX_VALUES)
    weighted_top, more = first_items(proto.weighted_string_stats.top_values, MAX_VALUES)
    return StringStatistics(
        unique=_unique(proto),
        top=tuple(ValueCount(text(item.value), item.frequency) for item in top),
        average_length=proto.avg_length,
        ranks=_ranks(proto, "rank_histogram"),
        invalid_utf8=proto.invalid_utf8_count,
        vocabulary_file=text(proto.vocabulary_file),
        weighted_top=tuple(ValueCount(text(item.value), item.frequency) for item in weighted_top),
        weighted_ranks=_ranks(proto.weighted_string_stats, "rank_histogram"),
        cut=cut or more,
    )


def _unique(proto: Any) -> int | None:
    return proto.unique if proto.unique or not proto.common_stats.tot_num_values else None


def _bytes(proto: Any) -> BytesStatistics:
    longest = proto.max_num_bytes_int or proto.max_num_bytes
    return BytesStatistics(_unique(proto), proto.avg_num_bytes, proto.min_num_bytes, longest)
