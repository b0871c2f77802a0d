"""Reads histograms from statistics, with helpers for reading messages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeVar

MAX_BUCKETS = 1000
MAX_LABEL = 200
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Values from `low` up to `high`; the bounds may be infinite, the count of a sample is a fraction."""

    low: float
    high: float
    count: float


@dataclasses.dataclass(frozen=True)
class Histogram:
    """A histogram of numbers.

    Attributes:
      kind: STANDARD, buckets of equal width, or QUANTILES, of equal counts.
      name: Which values; empty for the feature's own.
      nan: Number of values that are not a number.
      undefined: Number of values without meaning, such as the infinite.
      buckets: By value.
      cut: Buckets were left out.
    """

    kind: str
    name: str
    nan: int
    undefined: int
    buckets: tuple[Bucket, ...]
    cut: bool

    @property
    def endless(self) -> float:
        """Values in buckets that begin or end at infinity, which no picture has room for."""
        return sum(b.count for b in self.buckets if not (math.isfinite(b.low) and math.isfinite(b.high)))


@dataclasses.dataclass(frozen=True)
class RankBucket:
    """Values by frequency, from rank `low` to `high`, 0 the most frequent; `label` when it is one value."""

    low: int
    high: int
    label: str
    count: float


@dataclasses.dataclass(frozen=True)
class RankHistogram:
    """How often the most frequent values are.

    Attributes:
      name: Which values; empty for the feature's own.
      buckets: By rank.
      cut: Buckets were left out.
    """

    name: str
    buckets: tuple[RankBucket, ...]
    cut: bool


def histogram(proto: Any) -> Histogram:
    """Of a tensorflow.metadata.v0.Histogram."""
    buckets, cut = first_items(proto.buckets, MAX_BUCKETS)
    made = tuple(Bucket(bucket.low_value, bucket.high_value, bucket.sample_count) for bucket in buckets)
    kind = enum_name(proto, "type")
    return Histogram(kind, text(proto.name), proto.num_nan, proto.num_undefined, made, cut)


def rank_histogram(proto: Any) -> RankHistogram:
    """Of a tensorflow.metadata.v0.RankHistogram."""
    buckets, cut = first_items(proto.buckets, MAX_BUCKETS)
    made = tuple(RankBucket(b.low_rank, b.high_rank, text(b.label), b.sample_count) for b in buckets)
    return RankHistogram(text(proto.name), made, cut)


def first_items(items: Sequence[Item], limit: int) -> tuple[list[Item], bool]:
    """The first items of a repeated field, and whether there are more."""
    return list(items[:limit]), len(items) > limit


def text(value: str | bytes, limit: int = MAX_LABEL) -> str:
    """A text of a message, shortened to what a page can show.

    protobuf returns bytes for proto2 strings that are not UTF-8.
    """
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return value if len(value) <= limit else value[: limit - 1] + "…"


def enum_name(message: Any, field: str) -> str:
    """Name of an enum field's value; the number of a value that this version does not know."""
    number = getattr(message, field)
    known = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return known.name if known else str(number)
