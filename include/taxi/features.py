"""What the model reads, what it predicts, and how raw columns become tensors.

The data are taxi trips published by the City of Chicago, in the sample shipped with TFX. The
prediction is made when a trip ends: distance, duration, fare, both places, the start time, the
company and the means of payment are then known, the tip is not. `tips` therefore only ever enters
the label. Payment type is by far the strongest feature, because drivers record tips on cards and
almost never in cash: 1 cash trip in 2,500 has a recorded tip above the threshold, against 2 card
trips in 3. Latitudes and longitudes are left out: they are the centroids of the community areas.
"""

from __future__ import annotations

import tensorflow as tf

RAW_LABEL = "tips"
FARE = "fare"
# Name of the label among the transformed features.
LABEL = "big_tip"
# A tip is big when it is strictly more than this share of the fare.
BIG_TIP_SHARE = 0.2

# Raw columns in miles, seconds and US dollars; all have a long right tail.
NUMERIC_FEATURES: tuple[str, ...] = ("trip_miles", "trip_seconds", "fare")

# Integer columns with a published, closed range (first code, last code): hours of the day, days of
# the week (1 = Sunday), months, and Chicago's 77 community areas. A closed range needs no
# vocabulary, hence no pass over the data.
CODED_FEATURES: dict[str, tuple[int, int]] = {
    "trip_start_hour": (0, 23),
    "trip_start_day": (1, 7),
    "trip_start_month": (1, 12),
    "pickup_community_area": (1, 77),
    "dropoff_community_area": (1, 77),
}

# String columns and the number of trips a value needs in the training split to get its own code.
# Most of the 60-odd companies are single cars with one or two trips; they share one code.
VOCABULARY_FEATURES: dict[str, int] = {"payment_type": 2, "company": 20}
# Upper bound on vocabulary size, so that the model's shape does not depend on the data.
VOCABULARY_SIZE = 30
OUT_OF_VOCABULARY_BUCKETS = 1

# Fares pile up on a few meter values (minimum fare, airport flat rates), which one continuous input
# cannot follow; quantile buckets can.
BUCKETED_FEATURES: dict[str, int] = {"fare": 20}

MODEL_INPUTS: frozenset[str] = frozenset(
    {*NUMERIC_FEATURES, *CODED_FEATURES, *VOCABULARY_FEATURES, *BUCKETED_FEATURES}
)


def scaled_name(name: str) -> str:
    """Returns the transformed name of a numeric feature."""
    return f"{name}_scaled"


def code_name(name: str) -> str:
    """Returns the transformed name of a coded, vocabulary or bucketed feature."""
    return f"{name}_code"


def code_sizes() -> dict[str, int]:
    """Returns the number of codes of every integer model input, by transformed name.

    Returns:
        Transformed name to count of distinct codes; codes run from 0 to count - 1.
    """
    sizes = {code_name(name): last - first + 2 for name, (first, last) in CODED_FEATURES.items()}
    for name in VOCABULARY_FEATURES:
        sizes[code_name(name)] = VOCABULARY_SIZE + OUT_OF_VOCABULARY_BUCKETS
    for name, buckets in BUCKETED_FEATURES.items():
        sizes[code_name(name)] = buckets
    return sizes


def to_dense(values: tf.Tensor | tf.SparseTensor, missing: float | int | str) -> tf.Tensor:
    """Fills in missing values of a column that has at most one value per row.

    Args:
        values: [rows, 1] dense tensor, or [rows, 0 or 1] sparse tensor.
        missing: What an absent value becomes; of the column's type.

    Returns:
        [rows, 1] dense tensor.
    """
    if not isinstance(values, tf.SparseTensor):
        return tf.reshape(values, [-1, 1])
    rows = values.dense_shape[0]
    # A batch without any value has a second dimension of 0; stating 1 makes both cases equal.
    one_column = tf.SparseTensor(values.indices, values.values, [rows, 1])
    return tf.sparse.to_dense(one_column, default_value=missing)


def as_float(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """Converts a numeric column to floats with NaN for missing values.

    Args:
        values: [rows, 1] dense or [rows, 0 or 1] sparse tensor, integer or float.

    Returns:
        [rows, 1] float32 tensor.
    """
    if isinstance(values, tf.SparseTensor):
        values = tf.cast(values, tf.float32)
        return to_dense(values, float("nan"))
    return to_dense(tf.cast(values, tf.float32), float("nan"))


def big_tip(tips: tf.Tensor, fare: tf.Tensor) -> tf.Tensor:
    """Says which trips ended with a tip above a fifth of the fare.

    A trip without a positive fare has no meaningful share, and one with an unknown tip or fare has
    no known share; both count as "no big tip".

    Args:
        tips: [rows, 1] float32, US dollars, NaN when missing.
        fare: [rows, 1] float32, US dollars, NaN when missing.

    Returns:
        [rows, 1] int64 of 0 and 1.
    """
    # Comparisons with NaN are false, so missing values need no branch of their own.
    is_big = tf.logical_and(fare > 0.0, tips > BIG_TIP_SHARE * fare)
    return tf.cast(is_big, tf.int64)
