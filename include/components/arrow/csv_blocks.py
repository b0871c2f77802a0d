"""Where a CSV file can be cut: blocks of whole records, found without parsing them.

TFX joins lines until the number of quotes in them is even (`_CsvLineBuffer` in
tfx/components/example_gen/csv_example_gen/executor.py). So a record ends at a line feed before which the file has
an even number of quotes, and counting quotes is enough to find it.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from include.components.arrow.errors import InputFileError

BLOCK_BYTES = 2 << 20
# No record comes near it, unless a quote is missing.
_MAX_RECORD_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class CsvBlock:
    """Whole records of a file.

    Attributes:
      path: The file.
      start: Offset of the first byte.
      end: Offset behind the last byte; None in a compressed file, which is one block.
      line: Number of the first line, for messages.
    """

    path: str
    start: int
    end: int | None
    line: int


def column_names(path: str) -> list[str]:
    """The names in the first line: as TFX reads them, less a byte order mark.

    TFX cuts the line at every comma, and quotes stay part of a name (`load_csv_column_names` in
    tfx/utils/io_utils.py).

    Raises:
      InputFileError: There is no such line, or a name has a comma or a line break in its quotes.
    """
    with FileSystems.open(path) as file:
        line = file.readline()
    if not line:
        raise InputFileError(f"{path} is empty. A CSV file begins with a line of column names.")
    header = text(line, path, 1).removeprefix("\ufeff").strip()
    if not header:
        raise InputFileError(f"{path}, line 1 is blank. A CSV file begins with a line of column names.")
    if "\r" in header or "\0" in header:
        raise InputFileError(
            f"{path}, line 1 has a carriage return or NUL within it: {header[:80]!r}. Lines end with LF or CR LF."
        )
    names = header.split(",")
    if header.count('"') % 2 or len(next(csv.reader([header]))) != len(names):
        raise InputFileError(
            f"{path}, line 1: a column name has a comma or a line break in its quotes: {header[:80]!r}. "
            "Rename the column."
        )
    return names


def find_blocks(path: str, block_bytes: int = BLOCK_BYTES) -> Iterator[CsvBlock]:
    """Cuts a file into blocks of about `block_bytes`, each of at least one record.

    Raises:
      InputFileError: Its quotes are unbalanced, or a record is too long.
    """
    compression = CompressionTypes.detect_compression_type(path)
    with FileSystems.open(path) as file:
        start = len(file.readline())
        if compression != CompressionTypes.UNCOMPRESSED:
            yield CsvBlock(path, start, None, 2)
            return
        for data, line in _pieces(file, path, 2, block_bytes):
            yield CsvBlock(path, start, start + len(data), line)
            start += len(data)


def read_block(block: CsvBlock, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[bytes, int]]:
    """Reads a block, a compressed one in pieces.

    Yields:
      Whole records, and the number of their first line.

    Raises:
      InputFileError: As in `find_blocks`, for a compressed file; or the file has changed meanwhile.
    """
    with FileSystems.open(block.path) as file:
        if block.end is None:
            file.readline()
            yield from _pieces(file, block.path, block.line, block_bytes)
            return
        file.seek(block.start)
        data = file.read(block.end - block.start)
    if len(data) < block.end - block.start:
        raise InputFileError(
            f"{block.path} became shorter while it was read. Write to another name, then rename."
        )
    yield data, block.line


def records(data: bytes) -> Iterator[bytes]:
    """The single records of a piece, with their line ends."""
    record = b""
    for line in io.BytesIO(data):  # ends lines with line feeds only
        record += line
        if record.count(b'"') % 2 == 0:
            yield record
            record = b""
    if record:
        yield record


def text(data: bytes, path: str, line: int) -> str:
    """Decodes UTF-8.

    Raises:
      InputFileError: It is not; with the line.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        raise InputFileError(
            f"{path}, line {line} is not UTF-8: byte 0x{data[error.start]:02x}. "
            "Convert the file, for example with: iconv -f latin1 -t utf-8"
        ) from None


def _pieces(file: Any, path: str, line: int, block_bytes: int) -> Iterator[tuple[bytes, int]]:
    rest = b""
    while data := file.read(block_bytes):
        rest += data
        end = _end_of_records(rest)
        if end:
            yield rest[:end], line
            line += rest.count(b"\n", 0, end)
            rest = rest[end:]
        elif len(rest) > _MAX_RECORD_BYTES:
            raise InputFileError(
                f"{path}, line {line}: a record of more than {_MAX_RECORD_BYTES >> 20} MiB. "
                "Probably a quote in this line is never closed."
            )
    if rest.count(b'"') % 2:
        line += rest.count(b"\n", 0, rest.rfind(b'"'))
        raise InputFileError(
            f"{path} has an odd number of quotes: the last one, in line {line}, is never closed. A quote inside "
            'quotes is written twice ("").'
        )
    if rest:
        yield rest, line


def _end_of_records(data: bytes) -> int:
    """Offset behind the last line feed that is not in quotes; 0 if there is none. `data` begins a record."""
    end, odd = len(data), data.count(b'"') % 2
    while True:
        newline = data.rfind(b"\n", 0, end)
        if newline < 0:
            return 0
        odd = (odd + data.count(b'"', newline, end)) % 2
        if not odd:
            return newline + 1
        end, odd = data.rfind(b'"', 0, newline), 0
