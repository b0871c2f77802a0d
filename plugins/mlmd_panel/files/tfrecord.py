"""Reads TFRecord files, plain or gzipped: https://www.tensorflow.org/tutorials/load_data/tfrecord.

A record is its length (8 bytes), a checksum of the length (4), the data, and a checksum of the data (4); all
little-endian, the checksums masked CRC-32C.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from mlmd_panel.errors import PayloadError, PayloadTooLarge
from mlmd_panel.files.allowed import Files

MAX_RECORD = 16 << 20
MAX_TOTAL = 256 << 20
# Each member costs time, however little it holds; files joined of blocks of 64 KiB stay far below.
_MAX_MEMBERS = 10_000
_CHUNK = 1 << 18
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_GZIP = b"\x1f\x8b\x08"


def records(
    files: Files,
    uri: str,
    name: str = "",
    limit: int | None = None,
    max_record: int = MAX_RECORD,
    max_total: int = MAX_TOTAL,
) -> Iterator[bytes]:
    """Yields the records of a file, holding one at a time.

    Args:
      files: Where from.
      uri: URI of the artifact.
      name: Name of the file below it.
      limit: Number of records after which to stop; the rest of the file is not looked at.
      max_record: Bytes of a record; a longer one is an error.
      max_total: Bytes read, and bytes unpacked; more is an error.

    Raises:
      PayloadTooLarge: The file, or its decompressed content, is larger than `max_total`.
      PayloadError: The file is missing, truncated, damaged, too large, or not a TFRecord file.
    """
    shown = name or "The artifact's file"
    with files.open(uri, name) as file:
        source = _Source(file, shown, max_total)
        count = 0
        while limit is None or count < limit:
            header = source.take(_HEADER.size)
            if not header:
                return
            length = _length(header, shown, count)
            if length > max_record:
                raise PayloadError(
                    f"Record {count} of {shown} is too large: {length} bytes; the panel reads up to {max_record}."
                )
            data = source.take(length + _FOOTER.size)
            if len(data) < length + _FOOTER.size:
                raise PayloadError(f"{shown} is truncated in record {count}.")
            record = data[:length]
            if _checksum(record) != _FOOTER.unpack_from(data, length)[0]:
                raise PayloadError(f"Record {count} of {shown} is damaged: its checksum is wrong.")
            yield record
            count += 1


def begins(head: bytes) -> bool:
    """Whether a file that begins so is a TFRecord file, or packed by gzip as one may be."""
    return _plain(head) or head.startswith(_GZIP)


def _plain(head: bytes) -> bool:
    return len(head) >= _HEADER.size and _checksum(head[:8]) == _HEADER.unpack_from(head)[1]


def _length(header: bytes, shown: str, count: int) -> int:
    if len(header) < _HEADER.size:
        unless = "" if count else ", or is not a TFRecord file"
        raise PayloadError(f"{shown} is truncated in record {count}{unless}.")
    length, checksum = _HEADER.unpack(header)
    if _checksum(header[:8]) != checksum:
        if not count:
            raise PayloadError(f"{shown} is not a TFRecord file, or its start is damaged.")
        raise PayloadError(f"Record {count} of {shown} is damaged: the checksum of its length is wrong.")
    return length


def _checksum(data: bytes) -> int:
    import google_crc32c

    value = google_crc32c.value(data)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class _Source:
    """The bytes of a file, unpacked when it is a gzip file."""

    def __init__(self, file: BinaryIO, shown: str, max_total: int):
        self._file, self._shown, self._max_total = file, shown, max_total
        self._read = self._unpacked = 0
        self._packed = b""
        self._ready = bytearray()
        start = self._more()
        # A length can look like gzip's first bytes; then its checksum tells.
        self._gzip = start.startswith(_GZIP) and not _plain(start)
        self._unpacker = zlib.decompressobj(wbits=31)
        self._inside = self._gzip
        self._members = 1
        if self._gzip:
            self._packed = start
        else:
            self._ready += start

    def take(self, count: int) -> bytes:
        """The next bytes; fewer only where the file ends."""
        while len(self._ready) < count:
            more = self._unpack() if self._gzip else self._more()
            if not more:
                break
            self._ready += more
        taken = bytes(memoryview(self._ready)[:count])
        del self._ready[:count]
        return taken

    def _more(self) -> bytes:
        data = self._file.read(_CHUNK)
        self._read += len(data)
        self._check(self._read)
        return data

    def _unpack(self) -> bytes:
        while True:
            if not self._packed:
                self._packed = self._more()
                if not self._packed:
                    if self._inside:
                        raise PayloadError(f"{self._shown} is truncated: its gzip stream does not end.")
                    return b""
            if not self._inside:  # gzip files may be joined
                self._unpacker = zlib.decompressobj(wbits=31)
                self._inside = True
                self._members += 1
                if self._members > _MAX_MEMBERS:
                    raise PayloadError(
                        f"{self._shown} consists of more than {_MAX_MEMBERS} joined gzip files."
                    )
            try:
                data = self._unpacker.decompress(self._packed, _CHUNK)
            except zlib.error as error:
                raise PayloadError(f"{self._shown} is damaged: it cannot be decompressed.") from error
            self._packed = (
                self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
            )
            self._inside = not self._unpacker.eof
            self._unpacked += len(data)
            self._check(self._unpacked)
            if data:
                return data

    def _check(self, total: int) -> None:
        if total > self._max_total:
            raise PayloadTooLarge(
                f"{self._shown} is larger than the {self._max_total >> 20} MiB that the panel reads."
            )
