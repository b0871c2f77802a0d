"""Which output split a row belongs to: TFX's rule, many rows at a time.

`_PartitionFn` in tfx/components/example_gen/base_example_gen_executor.py: SHA-256 of the serialized Example, or of one
feature, as a number modulo the sum of all buckets.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx.proto import example_gen_pb2

from include.components.arrow.errors import InputFileError
from include.components.arrow.examples import Column


@dataclasses.dataclass(frozen=True)
class Splits:
    """The output splits of one input split.

    Attributes:
      names: Their names.
      ends: For each the first bucket behind it; empty if there is one split, for all rows.
      feature: Name of the feature that is hashed; None for the whole row.
    """

    names: tuple[str, ...]
    ends: tuple[int, ...] = ()
    feature: str | None = None

    @classmethod
    def configured(cls, config: example_gen_pb2.SplitConfig) -> Splits:
        """The splits of an output configuration."""
        buckets = [split.hash_buckets for split in config.splits]
        return cls(
            tuple(split.name for split in config.splits),
            tuple(int(end) for end in np.cumsum(buckets)),
            config.partition_feature_name if config.HasField("partition_feature_name") else None,
        )

    def of(self, examples: list[bytes], columns: list[Column], source: str) -> np.ndarray:
        """The number of each row's split.

        Args:
          examples: The rows, serialized.
          columns: Their features.
          source: Name of the file, for messages.

        Raises:
          InputFileError: The feature that is hashed is missing, without type, or FLOAT.
        """
        if not self.ends:
            return np.zeros(len(examples), np.int64)
        if self.feature is None:
            return self._numbers(examples)
        for column in columns:
            if column.name == self.feature:
                return self._by_feature(column, source)
        raise InputFileError(
            f"{source} has no column {self.feature!r}, which is partition_feature_name of the output "
            f"configuration; it has: {', '.join(column.name for column in columns)}"
        )

    def _by_feature(self, column: Column, source: str) -> np.ndarray:
        if column.rows is None:
            return self._numbers(self._keys(column, source))
        rows = column.rows.to_numpy()
        # Not every value has a row: that of a Parquet column which stands for null is always there.
        used = np.zeros(len(column.values), bool)
        used[rows] = True
        values = Column(column.name, column.values.filter(pa.array(used)))
        numbers = np.zeros(len(used), np.int64)
        numbers[used] = self._numbers(self._keys(values, source))
        return numbers[rows]

    def _keys(self, column: Column, source: str) -> Iterable[bytes]:
        for example in column.examples():
            feature = tf.train.Example.FromString(example).features.feature[column.name]
            if feature.WhichOneof("kind") not in ("bytes_list", "int64_list"):
                missing = "rows without a value (in Parquet 0, False and an empty text are none)"
                kind = "numbers with a fraction" if feature.HasField("kind") else missing
                raise InputFileError(
                    f"{source}: column {column.name!r}, which is partition_feature_name of the output configuration, "
                    f"has {kind}. TFX splits by a feature of integers or text that every row has."
                )
            yield feature.SerializeToString(deterministic=True)

    def _numbers(self, keys: Iterable[bytes]) -> np.ndarray:
        digests = b"".join(hashlib.sha256(key).digest() for key in keys)
        words = np.frombuffer(digests, ">u4").astype(np.uint64).reshape(-1, 8)
        buckets = np.zeros(len(words), np.uint64)
        for word in words.T:  # the remainder of a number of 256 bits, 32 at a time
            buckets = ((buckets << np.uint64(32)) | word) % np.uint64(self.ends[-1])
        return np.searchsorted(np.array(self.ends, np.uint64), buckets, side="right")
