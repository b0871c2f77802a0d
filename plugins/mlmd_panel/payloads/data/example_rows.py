"""Turns a record of Examples into a readable row."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

from mlmd_panel.files import protos, wire_format

MAX_FEATURES = 500
MAX_VALUES = 20
MAX_TEXT = 200
_HEX = 16
_MORE = "…"


def example(record: bytes, name: str) -> dict[str, Any]:
    """Features of a tf.train.Example, by name.

    Args:
      record: Serialized.
      name: File that it comes from, for the error.

    Raises:
      PayloadError: The record is not a tf.train.Example.
    """
    parsed = _parse("tensorflow.Example", record, name)
    with protos.sound(name, "Example"):
        return _features(parsed.features.feature)


def sequence_example(record: bytes, name: str) -> dict[str, Any]:
    """Features of a tf.train.SequenceExample, those of its context first; of a feature list a list of values.

    Args:
      record: Serialized.
      name: File that it comes from, for the error.

    Raises:
      PayloadError: The record is not a tf.train.SequenceExample.
    """
    parsed = _parse("tensorflow.SequenceExample", record, name)
    with protos.sound(name, "SequenceExample"):
        row = _features(parsed.context.feature)
        lists = parsed.feature_lists.feature_list
        for key in sorted(lists)[: max(0, MAX_FEATURES - len(row))]:
            steps = lists[key].feature
            row[_text(key)] = [*map(_value, steps[:MAX_VALUES]), *_rest(steps)]
        return row


DECODERS: dict[str, Callable[[bytes, str], dict[str, Any]]] = {
    "FORMAT_TF_EXAMPLE": example,
    "FORMAT_TF_SEQUENCE_EXAMPLE": sequence_example,
}


def _parse(full_name: str, record: bytes, name: str) -> Any:
    wire_format.check(record, protos.message(full_name).DESCRIPTOR, name)
    return protos.parse(full_name, record, name)


def _features(features: Any) -> dict[str, Any]:
    row = {_text(key): _value(features[key]) for key in sorted(features)[:MAX_FEATURES]}
    if len(features) > MAX_FEATURES:
        row[_MORE] = f"{len(features) - MAX_FEATURES} more"
    return row


def _value(feature: Any) -> Any:
    """A scalar of a list of one; None of a feature without values of any kind."""
    kind = feature.WhichOneof("kind")
    if not kind:
        return None
    values = getattr(feature, kind).value
    shown = [_shown(value) if isinstance(value, bytes) else value for value in values[:MAX_VALUES]]
    return shown[0] if len(values) == 1 else [*shown, *_rest(values)]


def _rest(values: Sized) -> list[str]:
    left = len(values) - MAX_VALUES
    return [f"{_MORE} {left} more"] if left > 0 else []


def _shown(value: bytes) -> str:
    try:
        # A cut in the middle of a character is no reason to take a text for bytes.
        text = value.decode() if len(value) <= 4 * MAX_TEXT else value[: 4 * MAX_TEXT].decode(errors="ignore")
    except UnicodeDecodeError:
        text = "\0"
    if all(char.isprintable() or char in "\n\r\t" for char in text):
        return text if len(text) <= MAX_TEXT and len(value) <= 4 * MAX_TEXT else text[: MAX_TEXT - 1] + _MORE
    return f"{len(value)} bytes: {value[:_HEX].hex(' ')}{' ' + _MORE if len(value) > _HEX else ''}"


def _text(value: str) -> str:
    return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + _MORE
