"""Bytes of protocol buffers and TFRecord files, written out by their specifications."""

from __future__ import annotations

import struct

import google_crc32c


def varint(number: int) -> bytes:
    """A number as protocol buffers write lengths: seven bits a byte, the lowest first."""
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def checksum(data: bytes) -> bytes:
    """The masked CRC-32C that TFRecord has of a length and of a record."""
    value = google_crc32c.value(data)
    return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + checksum(length) + data + checksum(data)
