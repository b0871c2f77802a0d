"""Metrics of slices as TFMA wrote them; a value that is too large to be read is left out of its slice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlmd_panel import protos
from mlmd_panel.errors import PayloadTooLarge
from mlmd_panel.files import Files
from mlmd_panel.payloads import shards, wire

TOO_LARGE = "The value is larger than the panel reads."
_TYPE = "tensorflow_model_analysis.MetricsForSlice"


def messages(files: Files, uri: str) -> Iterator[Any]:
    """Yields a `MetricsForSlice` message for each slice.

    Raises:
      PayloadGone: The evaluation has no metrics.
      PayloadTooLarge: What comes next is more than the panel reads of them.
      PayloadError: Broken, or in a format that the panel does not read.
    """
    for name, record in shards.records(files, uri, "metrics"):
        try:
            wire.check(record, protos.message(_TYPE).DESCRIPTOR, name)
        except PayloadTooLarge:
            yield _without_large_values(record, name)
        else:
            yield protos.parse(_TYPE, record, name)


def _without_large_values(record: bytes, name: str) -> Any:
    """The slice with a message of TFMA's in place of each value for which no room is left."""
    made = protos.message(_TYPE)()
    fields = made.DESCRIPTOR.fields_by_name
    keys, pairs = (fields["slice_key"], fields["cross_slice_key"]), fields["metric_keys_and_values"]
    left = wire.MAX_MESSAGES
    for number, value in wire.fields(memoryview(record), name):
        with protos.sound(name, "MetricsForSlice"):
            for key in keys:
                if number == key.number:
                    wire.check(value, key.message_type, name)
                    getattr(made, key.name).MergeFromString(bytes(value))
            if number != pairs.number:
                continue
            pair = made.metric_keys_and_values.add()
            try:
                left -= wire.check(value, pairs.message_type, name, left, small=0) + 1
                pair.MergeFromString(bytes(value))
            except PayloadTooLarge:
                for part, inside in wire.fields(value, name):
                    if part == pairs.message_type.fields_by_name["key"].number:
                        wire.check(inside, pair.key.DESCRIPTOR, name)
                        pair.key.MergeFromString(bytes(inside))
                pair.value.debug_message = TOO_LARGE
    return made
