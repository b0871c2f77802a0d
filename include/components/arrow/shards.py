"""Gzipped TFRecords that are written block by block.

A gzip file may have several members, one after the other (RFC 1952, section 2.2). So a block is compressed where it is
made, by any worker, and a shard is its blocks joined. TensorFlow, Beam and Python read it as one file.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.coders import BytesCoder
from apache_beam.io import filebasedsink
from apache_beam.io.filesystem import CompressionTypes
from tfx.components.example_gen import write_split

# Beam uses 6, which takes twice the time. The files are still smaller than those of TFX: features are in order.
_LEVEL = 3


def tfrecords(examples: Iterable[bytes]) -> bytes:
    """The records as a TFRecord file, not compressed."""
    with tempfile.TemporaryDirectory(prefix="arrow_example_gen_") as folder:
        path = Path(folder, "records")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in examples:
                writer.write(example)
        return path.read_bytes()


def compressed(data: bytes) -> bytes:
    """One gzip member; the same data give the same bytes."""
    return gzip.compress(data, _LEVEL, mtime=0)


class _Sink(filebasedsink.FileBasedSink):
    """Joins gzip members to files."""

    def __init__(self, prefix: str):
        super().__init__(
            prefix,
            BytesCoder(),
            file_name_suffix=".gz",
            mime_type="application/gzip",
            compression_type=CompressionTypes.UNCOMPRESSED,
        )

    def write_encoded_record(self, file_handle: Any, encoded_value: bytes) -> None:
        """Writes a member; called by Beam."""
        file_handle.write(encoded_value)

    def close(self, file_handle: Any) -> None:
        """Closes a shard; called by Beam."""
        if file_handle.tell() == 0:
            # Without rows it is a gzip file, too. Before others TensorFlow takes such a member for the end.
            file_handle.write(compressed(b""))
        super().close(file_handle)


class WriteShards(beam.PTransform):
    """Writes gzip members of TFRecords as the files of a split, under the names that TFX gives them."""

    def __init__(self, folder: str):
        """Takes the folder of the split."""
        super().__init__()
        self._prefix = os.path.join(folder, write_split.DEFAULT_TF_RECORD_FILE_NAME)

    def expand(self, pcoll: beam.PCollection) -> Any:
        """Called by Beam."""
        return pcoll | "Write" >> beam.io.Write(_Sink(self._prefix))
