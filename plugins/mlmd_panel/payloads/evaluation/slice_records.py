"""Reads TFMA's messages with the metrics of slices, without values that are too large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlmd_panel.errors import PayloadTooLarge
from mlmd_panel.files import protos, wire_format
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.evaluation import shards

TOO_LARGE = "The value is too large for the panel to read."
_TYPE = "tensorflow_model_analysis.MetricsForSlice"


def records(files: Files, uri: str) -> Iterator[tuple[str, bytes]]:
    """Yields (file name, record) for each slice.

    Raises:
      PayloadGone: The evaluation has no metrics.
      PayloadTooLarge: What comes next is more than the panel reads of them.
      PayloadError: Broken, or in a format that the panel does not read.
    """
    return shards.records(files, uri, "metrics")


def message(record: bytes, name: str) -> Any:
    """A record as a `MetricsForSlice` message.

    Args:
      record: As it was written.
      name: File that it comes from, for the error.

    Raises:
      PayloadTooLarge: It is more than the panel reads, even without its values.
      PayloadError: Broken.
    """
    try:
        wire_format.check(record, protos.message(_TYPE).DESCRIPTOR, name)
    except PayloadTooLarge:
        return _without_large_values(record, name)
    return protos.parse(_TYPE, record, name)


def _without_large_values(record: bytes, name: str) -> Any:
    """The slice with a message of TFMA's in place of each value for which no room is left."""
    made = protos.message(_TYPE)()
    fields = made.DESCRIPTOR.fields_by_name
    keys, pairs = (fields["slice_key"], fields["cross_slice_key"]), fields["metric_keys_and_values"]
    left = wire_format.MAX_MESSAGES
    for number, value in wire_format.fields(memoryview(record), name):
        with protos.sound(name, "MetricsForSlice"):
            for key in keys:
                if number == key.number:
                    wire_format.check(value, key.message_type, name)
                    getattr(made, key.name).MergeFromString(bytes(value))
            if number != pairs.number:
                continue
            pair = made.metric_keys_and_values.add()
            try:
                left -= wire_format.check(value, pairs.message_type, name, left, small=0) + 1
                pair.MergeFromString(bytes(value))
            except PayloadTooLarge:
                for part, inside in wire_format.fields(value, name):
                    if part == pairs.message_type.fields_by_name["key"].number:
                        wire_format.check(inside, pair.key.DESCRIPTOR, name)
                        pair.key.MergeFromString(bytes(inside))
                pair.value.debug_message = TOO_LARGE
    return made
