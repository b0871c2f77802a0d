"""The cells of CSV records, by column: those that Python's csv module finds, which is what TFX uses.

pyarrow parses records whose quotes are where they belong; for these the two agree. Anything else, and what
pyarrow refuses, is parsed by the csv module, record by record as in TFX, so that the result is the same
and an error has its line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from include.components.arrow import csv_blocks
from include.components.arrow.errors import InputFileError

_QUOTE, _COMMA, _LF, _CR = (np.uint8(ord(character)) for character in '",\n\r')


def columns(data: bytes, path: str, line: int, names: list[str]) -> list[pa.Array]:
    """Parses whole records; blank lines are left out.

    Args:
      data: The records.
      path: Their file, for messages.
      line: Number of their first line, for messages.
      names: Names of the columns.

    Returns:
      Binary arrays, one a column; a cell without text, quoted or not, is b"".

    Raises:
      InputFileError: A record has too many or too few cells, is not UTF-8, or is not CSV.
    """
    if not data.isascii():
        csv_blocks.text(data, path, line)
    if _is_plain(data):
        try:
            return _by_arrow(data, len(names))
        except pa.ArrowInvalid:
            pass  # the csv module says where
    return _by_csv(data, path, line, names)


def _is_plain(data: bytes) -> bool:
    """Whether quotes enclose whole cells, and carriage returns end lines."""
    if b"\0" in data or data.count(b"\r") != data.count(b"\r\n"):
        return False
    if b'"' not in data:
        return True
    raw = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    quotes = np.flatnonzero(raw == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    before, after = raw[opening - 1], raw[closing + 1]
    # A quote within a cell is written twice: it closes and opens again.
    opens = (before == _COMMA) | (before == _LF)
    opens[1:] |= opening[1:] == closing[:-1] + 1
    closes = (after == _COMMA) | (after == _LF) | (after == _CR)
    closes[:-1] |= opening[1:] == closing[:-1] + 1
    return bool(opens.all() and closes.all())


def _by_arrow(data: bytes, count: int) -> list[pa.Array]:
    names = [str(number) for number in range(count)]
    # Not read_csv: on Python 3.10 it searches all objects of the process each time (pyarrow/error.pxi,
    # have_signal_refcycle), which takes longer than reading a block.
    reader = arrow_csv.open_csv(
        pa.BufferReader(data),
        # One block: pyarrow does not cut it again, and its rows stay in order.
        read_options=arrow_csv.ReadOptions(column_names=names, block_size=len(data) + 1, use_threads=False),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False, check_utf8=False
        ),
    )
    columns = reader.read_all().columns
    return [pa.concat_arrays(column.chunks) if column.num_chunks else _EMPTY for column in columns]


_EMPTY = pa.array([], pa.binary())


def _by_csv(data: bytes, path: str, line: int, names: list[str]) -> list[pa.Array]:
    rows = []
    for record in csv_blocks.records(data):
        row = _row(record, path, line)
        if row and len(row) != len(names):
            raise InputFileError(
                f"{path}, line {line} has {len(row)} cells, the header {len(names)}: "
                f"{record[:200].decode(errors='replace')!r}. A cell with a comma or a line break is written in "
                "quotes."
            )
        if row:
            rows.append(row)
        line += record.count(b"\n")
    return [pa.array(cells, pa.binary()) for cells in zip(*rows, strict=True)] or [_EMPTY] * len(names)


def _row(record: bytes, path: str, line: int) -> list[bytes]:
    def lines() -> Iterator[str]:
        yield record.decode()
        raise csv.Error("a cell's quotes are never closed")

    try:
        return [cell.encode() for cell in next(csv.reader(lines()))]
    except csv.Error as error:
        raise InputFileError(
            f"{path}, line {line} is not CSV: {error}: {record[:200].decode(errors='replace')!r}. "
            'Lines end with LF or CR LF; a quote inside quotes is written twice ("").'
        ) from None
