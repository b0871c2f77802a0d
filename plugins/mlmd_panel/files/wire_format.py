"""Scans serialized messages without parsing them: their fields, and the number of nested messages.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlmd_panel.errors import PayloadError, PayloadTooLarge

# An empty message takes two bytes in a file, and some 200 when it is parsed.
MAX_MESSAGES = 200_000
SMALL = 256 << 10
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(data: memoryview, name: str) -> Iterator[tuple[int, memoryview]]:
    """Yields (field number, bytes) of each field that is a message, text or bytes; skips others.

    Args:
      data: The message.
      name: File that it comes from, for the error.

    Raises:
      PayloadError: The data is not a valid message.
    """
    place = 0
    while place < len(data):
        tag, place = _varint(data, place, name)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            length, place = _varint(data, place, name)
            if not number or length > len(data) - place:
                raise PayloadError(f"{name} is damaged: a field extends past its end.")
            yield number, data[place : place + length]
            place += length
        elif kind == _VARINT:
            _, place = _varint(data, place, name)
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise PayloadError(f"{name} is not a valid serialized message.")
    if place > len(data):
        raise PayloadError(f"{name} is damaged: it is truncated.")


def check(
    data: bytes | memoryview, descriptor: Any, name: str, limit: int = MAX_MESSAGES, small: int = SMALL
) -> int:
    """Rejects messages that would take too much memory when parsed.

    Args:
      data: A serialized message.
      descriptor: The message's descriptor.
      name: File that it comes from, for the error.
      limit: Number of messages that may be inside.
      small: Bytes up to which nothing is counted.

    Returns:
      The number of messages inside; 0 of a small one.

    Raises:
      PayloadTooLarge: There are more.
      PayloadError: The data is not a valid message.
    """
    if len(data) <= small:
        return 0
    count = 0
    inside: dict[str, dict[int, Any]] = {}
    left = [(memoryview(data), descriptor)]
    while left:
        part, kind = left.pop()
        if kind.full_name not in inside:
            inside[kind.full_name] = {f.number: f.message_type for f in kind.fields if f.message_type}
        known = inside[kind.full_name]
        for number, value in fields(part, name):
            if number in known:
                count += 1
                if count > limit:
                    raise PayloadTooLarge(f"{name} has more than the {limit} parts that the panel reads.")
                if value:
                    left.append((value, known[number]))
    return count


def _varint(data: memoryview, place: int, name: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise PayloadError(f"{name} is damaged: it is truncated.")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise PayloadError(f"{name} is not a valid serialized message.")
