"""Keeps records in memory that goes back to the system as a whole when they are dropped.

Thousands of records among other objects leave gaps instead, which the process keeps.
"""

from __future__ import annotations

import mmap
from typing import NamedTuple

_BLOCK = 1 << 20


class Stored(NamedTuple):
    """Where a record is."""

    block: mmap.mmap
    start: int
    end: int

    @property
    def data(self) -> bytes:
        """The record."""
        return self.block[self.start : self.end]


class RecordStore:
    """Stores records; the memory is in use as long as one of them is."""

    def __init__(self) -> None:
        self._block: mmap.mmap | None = None
        self._used = 0

    def add(self, record: bytes) -> Stored:
        """Stores a record."""
        if self._block is None or self._used + len(record) > len(self._block):
            self._block = mmap.mmap(-1, max(_BLOCK, len(record)), flags=mmap.MAP_PRIVATE)
            self._used = 0
        start, self._used = self._used, self._used + len(record)
        self._block[start : self._used] = record
        return Stored(self._block, start, self._used)
