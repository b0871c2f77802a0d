"""The Transform step: the same graph prepares training rows and serving requests."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

# Absolute, because TFX loads this file either as include.taxi.preprocessing or as a top-level
# module out of a wheel; the pipeline itself is imported as include.taxi.pipeline in both cases.
from include.taxi import features

# Stands for an absent string, so that "no company given" gets a code of its own.
_MISSING_TEXT = "(missing)"


def preprocessing_fn(
    inputs: dict[str, tf.Tensor | tf.SparseTensor],
) -> dict[str, tf.Tensor]:
    """Turns raw trip columns into model inputs and the label.

    Source: https://www.tensorflow.org/tfx/guide/transform. Called once by TFX to build the graph.

    Args:
        inputs: Raw columns by name, [rows, 1] dense or [rows, 0 or 1] sparse.

    Returns:
        [rows, 1] tensors by transformed name: float32 scaled features (mean 0, variance 1, unit
        free), int64 codes, and the int64 label.
    """
    outputs: dict[str, tf.Tensor] = {}
    numbers = {name: features.as_float(inputs[name]) for name in features.NUMERIC_FEATURES}

    for name, values in numbers.items():
        # NaN passes through the logarithm and is ignored by the analyzer; 0 is then the mean.
        scaled = tft.scale_to_z_score(tf.math.log1p(tf.maximum(values, 0.0)))
        outputs[features.scaled_name(name)] = tf.where(
            tf.math.is_finite(scaled), scaled, tf.zeros_like(scaled)
        )

    for name, (first, last) in features.CODED_FEATURES.items():
        codes = features.to_dense(tf.cast(inputs[name], tf.int64), first - 1)
        in_range = tf.logical_and(codes >= first, codes <= last)
        # Code 0 means missing or outside the published range.
        outputs[features.code_name(name)] = tf.where(in_range, codes - first + 1, tf.zeros_like(codes))

    for name, frequency in features.VOCABULARY_FEATURES.items():
        outputs[features.code_name(name)] = tft.compute_and_apply_vocabulary(
            features.to_dense(inputs[name], _MISSING_TEXT),
            top_k=features.VOCABULARY_SIZE,
            frequency_threshold=frequency,
            num_oov_buckets=features.OUT_OF_VOCABULARY_BUCKETS,
            default_value=None,
            vocab_filename=name,
        )

    for name, buckets in features.BUCKETED_FEATURES.items():
        values = numbers[name]
        known = tf.where(tf.math.is_finite(values), values, tf.zeros_like(values))
        outputs[features.code_name(name)] = tft.bucketize(known, num_buckets=buckets)

    outputs[features.LABEL] = features.big_tip(
        tips=features.as_float(inputs[features.RAW_LABEL]), fare=numbers[features.FARE]
    )
    return outputs
