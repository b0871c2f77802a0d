"""Counts the records of an Examples artifact per split, in its files; TFX stores no number."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import struct
import time
from typing import Any

from ml_metadata.proto import metadata_store_pb2

# For a large data set the number is not worth the time it takes.
_SECONDS = 3.0
# tensorflow/core/lib/io/record_writer.h: length, checksum of it, data, checksum of it.
_HEAD, _FOOT = struct.Struct("<Q4x"), 4


def count(artifact: metadata_store_pb2.Artifact) -> dict[str, int | None]:
    """Counts the records of each split.

    Args:
      artifact: Examples, as TFRecords (gzip or not) or Parquet.

    Returns:
      Number by split; None for a split that was not counted in time.

    Raises:
      OSError: The files cannot be read.
      EOFError: A file ends in the middle of a record.
    """
    names = json.loads(artifact.properties["split_names"].string_value or "[]")
    parquet = artifact.custom_properties["payload_format"].string_value == "FORMAT_PARQUET"
    deadline = time.monotonic() + _SECONDS
    return {name: _of_split(f"{artifact.uri}/Split-{name}", parquet, deadline) for name in names}


def _of_split(folder: str, parquet: bool, deadline: float) -> int | None:
    from tfx.dsl.io import fileio

    total = 0
    for name in sorted(fileio.listdir(folder)):
        with fileio.open(os.path.join(folder, name), "rb") as file:
            found = _parquet(file) if parquet else _tfrecords(file, deadline)
        if found is None:
            return None
        total += found
    return total


def _parquet(file: Any) -> int:
    from pyarrow import parquet

    return parquet.read_metadata(
        io.BytesIO(file.read())
    ).num_rows  # TFX's file objects lack what pyarrow needs


def _tfrecords(file: Any, deadline: float) -> int | None:
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    records = gzip.GzipFile(fileobj=file) if zipped else file
    for number in itertools.count():
        head = records.read(_HEAD.size)
        if not head:
            return number
        if len(head) < _HEAD.size:
            raise EOFError("a TFRecord file ends in the middle of a record")
        [length] = _HEAD.unpack(head)
        if len(records.read(length + _FOOT)) < length + _FOOT:
            raise EOFError("a TFRecord file ends in the middle of a record")
        if number % 1000 == 0 and time.monotonic() > deadline:
            return None
    raise AssertionError("unreachable")


def as_text(records: dict[str, int | None]) -> str:
    """The numbers as text: `train 10,036, eval 4,966 records`."""
    if not any(number is None for number in records.values()):
        return ", ".join(f"{name} {number:,}" for name, number in records.items()) + " records"
    known = [f"{name} {number:,}" for name, number in records.items() if number is not None]
    rest = [name for name, number in records.items() if number is None]
    return ", ".join(
        [*known, f"records of {', '.join(rest)} not counted (more than {_SECONDS:.0f} s of reading)"]
    )
