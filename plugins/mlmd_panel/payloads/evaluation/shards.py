"""Reads the records of one of TFMA's outputs, which may be in several files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlmd_panel.errors import PartGone, PayloadError, PayloadTooLarge
from mlmd_panel.files import protos, tfrecord, wire_format
from mlmd_panel.files.allowed import Files

MAX_SHARDS = 256
# A record holds one slice.
MAX_RECORD = 8 << 20
MAX_TOTAL = 64 << 20


def messages(files: Files, uri: str, output: str, type_: str) -> Iterator[Any]:
    """Yields the records as messages.

    Args:
      files: Where from.
      uri: URI of the ModelEvaluation.
      output: metrics, plots, attributions or validations.
      type_: Name of TFMA's message, such as MetricsForSlice.

    Raises:
      PartGone: The evaluation has no such output.
      PayloadTooLarge: What comes next is more than the panel reads of an output.
      PayloadError: Broken, too large, or in a format that the panel does not read.
    """
    full_name = f"tensorflow_model_analysis.{type_}"
    for name, record in records(files, uri, output):
        wire_format.check(record, protos.message(full_name).DESCRIPTOR, name)
        yield protos.parse(full_name, record, name)


def records(files: Files, uri: str, output: str) -> Iterator[tuple[str, bytes]]:
    """Yields (file name, record).

    Args:
      files: Where from.
      uri: URI of the ModelEvaluation.
      output: metrics, plots, attributions or validations.

    Raises:
      PartGone: The evaluation has no such output.
      PayloadTooLarge: What comes next is more than the panel reads of an output.
      PayloadError: Broken, too large, or in a format that the panel does not read.
    """
    names = [entry.name for entry in files.list(uri, depth=1) if entry.name.startswith(output)]
    shards = [name for name in names if name.removesuffix(".gz").endswith((".tfrecord", ".tfrecords"))]
    if not shards and any(name.endswith(".parquet") for name in names):
        raise PayloadError(f"The {output} are Parquet files; the panel reads only TFRecord files.")
    # Versions of TFMA before 0.25 wrote no suffix.
    shards = shards or [name for name in names if "." not in name]
    if not shards:
        raise PartGone(f"The evaluation has no {output}: there is no file {output}*.tfrecord.")
    if len(shards) > MAX_SHARDS:
        raise PayloadError(f"The {output} are in {len(shards)} files; the panel reads up to {MAX_SHARDS}.")
    left = MAX_TOTAL
    for name in shards:
        for record in tfrecord.records(files, uri, name, max_record=MAX_RECORD, max_total=MAX_TOTAL):
            left -= len(record)
            if left < 0:
                raise PayloadTooLarge(
                    f"The {output} are larger than the {MAX_TOTAL >> 20} MiB that the panel reads."
                )
            yield name, record
