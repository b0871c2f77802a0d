"""Columns as serialized tf.Examples, in protobuf's deterministic form.

tfx_bsl's encoder writes the features of an Example in an order of its own, which changes from one Example to the
next. TFX splits by a hash of the deterministic form (`_GeneratePartitionKey` in
tfx/components/example_gen/base_example_gen_executor.py), where features are sorted by name. So the encoder is
given one column at a time, which leaves no order to choose, and the parts are joined: an Example is the tag of
`features`, the length of all parts, and the parts.

Where one name begins another, implementations of protobuf differ: the one in C++, of 3.20, has the shorter name first,
upb, of 4 and later, the longer one. The order is that of the protobuf that TFX has here.
"""

from __future__ import annotations

import dataclasses
import functools

import pyarrow as pa
from pyarrow import compute
from tensorflow.core.example import feature_pb2
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

_FEATURES_TAG = b"\x0a"  # field 1, length-delimited


@dataclasses.dataclass(frozen=True)
class Column:
    """One feature of some rows.

    Attributes:
      name: Name of the feature.
      values: Large lists of int64, float32 or large_binary; null for a feature without type.
      rows: Index into `values` for each row; None if they are the rows.
    """

    name: str
    values: pa.Array
    rows: pa.Array | None = None

    def examples(self) -> list[bytes]:
        """For each of `values`, the Example that has this feature alone."""
        batch = pa.RecordBatch.from_arrays([self.values], [self.name])
        return RecordBatchToExamplesEncoder().encode(batch)


def encode(columns: list[Column]) -> list[bytes]:
    """Serializes rows: the bytes of `Example.SerializeToString(deterministic=True)`.

    Args:
      columns: At least one; no name twice.
    """
    parts = []
    for column in sorted(columns, key=lambda column: _place(column.name)):
        entries = [
            example[2:] if len(example) <= 129 else example[1 + _varint_size(example[1:11]) :]
            for example in column.examples()
        ]
        part = pa.array(entries, pa.binary())
        parts.append(part if column.rows is None else part.take(column.rows))
    bodies = compute.binary_join_element_wise(*parts, b"")
    lengths = compute.binary_length(bodies).dictionary_encode()
    heads = pa.array(
        [_FEATURES_TAG + _varint(length) for length in lengths.dictionary.to_pylist()], pa.binary()
    )
    return compute.binary_join_element_wise(heads.take(lengths.indices), bodies, b"").to_pylist()


def _place(name: str) -> bytes:
    """A key by which names are sorted as protobuf does."""
    return name.encode() + (b"\xff" if _longer_first() else b"")  # a byte that UTF-8 does not have


@functools.cache
def _longer_first() -> bool:
    """Whether protobuf writes a name before the one that it begins with."""
    features = feature_pb2.Features(feature={name: feature_pb2.Feature() for name in ("n", "none")})
    return features.SerializeToString(deterministic=True).index(b"none") == 4


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _varint_size(data: bytes) -> int:
    return next(place for place, byte in enumerate(data, 1) if byte < 0x80)
