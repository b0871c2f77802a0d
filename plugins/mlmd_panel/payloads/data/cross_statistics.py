"""Reads correlations and lifts of pairs of features from CrossFeatureStatistics messages."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.payloads.data.feature_statistics import path_of
from mlmd_panel.payloads.data.histograms import first_items, text

MAX_SERIES = 100
MAX_LIFTS = 100


@dataclasses.dataclass(frozen=True)
class Lift:
    """How much more often a value of x is found with the series' y than it would be by chance.

    Attributes:
      x: Value.
      lift: 1 is by chance.
      x_count: Examples with x, by weight in a weighted series.
      both: Examples with x and y.
    """

    x: str | int | None
    lift: float
    x_count: float
    both: float


@dataclasses.dataclass(frozen=True)
class LiftSeries:
    """Lifts for one value of y.

    Attributes:
      y: Value; of numbers in buckets its bounds as text.
      y_count: Examples with it, by weight in a weighted series.
      lifts: In the order of the file.
      weighted: Examples count by their weights.
      cut: Lifts were left out.
    """

    y: str | int | None
    y_count: float
    lifts: tuple[Lift, ...]
    weighted: bool
    cut: bool


@dataclasses.dataclass(frozen=True)
class CrossStatistics:
    """Correlation and lift of two features.

    Attributes:
      x: One feature.
      y: The other.
      count: Number of examples that have both; None where TFDV did not count.
      correlation: Of two numeric features; else None.
      covariance: Of two numeric features; else None.
      lift: Of two categories' values; empty for numbers.
      cut: Series were left out.
    """

    x: str
    y: str
    count: int | None
    correlation: float | None
    covariance: float | None
    lift: tuple[LiftSeries, ...]
    cut: bool


def cross_statistics(proto: Any) -> CrossStatistics:
    """Of a tensorflow.metadata.v0.CrossFeatureStatistics."""
    numeric = proto.num_cross_stats if proto.HasField("num_cross_stats") else None
    found = proto.categorical_cross_stats.lift
    plain, cut = first_items(found.lift_series, MAX_SERIES)
    weighted, more = first_items(found.weighted_lift_series, MAX_SERIES)  # TFDV puts them among the others
    return CrossStatistics(
        x=path_of(proto.path_x),
        y=path_of(proto.path_y),
        count=proto.count if numeric else proto.count or None,
        correlation=numeric.correlation if numeric else None,
        covariance=numeric.covariance if numeric else None,
        lift=tuple(map(_series, [*plain, *weighted])),
        cut=cut or more,
    )


def _series(proto: Any) -> LiftSeries:
    lifts, cut = first_items(proto.lift_values, MAX_LIFTS)
    return LiftSeries(
        y=_value(proto, "y_value"),
        y_count=_value(proto, "y_count_value") or 0,
        lifts=tuple(
            Lift(
                _value(one, "x_value"),
                one.lift,
                _value(one, "x_count_value") or 0,
                _value(one, "x_and_y_count_value") or 0,
            )
            for one in lifts
        ),
        weighted=proto.WhichOneof("y_count_value") == "weighted_y_count",
        cut=cut,
    )


def _value(proto: Any, of: str) -> Any:
    field = proto.WhichOneof(of)
    if field is None:
        return None
    value = getattr(proto, field)
    if field == "y_bucket":
        return f"{value.low_value:g} to {value.high_value:g}"
    return text(value) if isinstance(value, (str, bytes)) else value
