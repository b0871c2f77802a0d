"""Reads a child's output: log lines with levels from one pipe, its result record from another."""

from __future__ import annotations

import logging
import os
import re
import selectors
import time
from collections.abc import Iterator

# Written by the child before each line of a log record, so that errors show as errors in Airflow.
LEVEL_MARK = "\x1f"
_RECORD = re.compile(rf"{LEVEL_MARK}(\d{{1,2}}){LEVEL_MARK}")
_BLOCK = 1 << 16
_LONGEST_LINE = 1 << 20
# A grandchild in a session of its own may keep the pipes open forever; the child's last words are
# in the pipe when it ends.
_DRAIN_SECONDS = 2.0


class Stream:
    """Reads both pipes of one child in one thread.

    Attributes:
      record: What came on the record's pipe up to its first newline.
    """

    def __init__(self, output: int, record: int):
        """Takes the reading ends; the caller closes them."""
        self._output, self._record_file = output, record
        self._ended, self._end = os.pipe()
        self.record = b""

    def end(self) -> None:
        """Signals, from any thread, that the child has ended: the pipes now hold all there is."""
        os.close(self._end)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yields (`logging` level, line) until the child has ended and its pipes are read."""
        rest = b""
        deadline = float("inf")
        with selectors.DefaultSelector() as selector:
            for file in (self._output, self._record_file, self._ended):
                selector.register(file, selectors.EVENT_READ)
            while selector.get_map() and time.monotonic() < deadline:
                limit = None if deadline == float("inf") else max(deadline - time.monotonic(), 0)
                for key, _ in selector.select(limit):
                    if key.fd == self._ended:
                        deadline = time.monotonic() + _DRAIN_SECONDS
                        selector.unregister(self._ended)
                        continue
                    block = os.read(key.fd, _BLOCK)
                    if key.fd == self._output:
                        *whole, rest = (rest + block).split(b"\n")
                        for line in whole:
                            yield from _records(line)
                        if len(rest) > _LONGEST_LINE:
                            yield from _records(rest)
                            rest = b""
                    else:
                        self.record += block
                    if not block or self.record.endswith(b"\n") and key.fd == self._record_file:
                        selector.unregister(key.fd)
        os.close(self._ended)
        if rest:
            yield from _records(rest)


def _records(raw: bytes) -> Iterator[tuple[int, str]]:
    line = raw.decode(errors="replace")
    record = _RECORD.search(line)
    if record is None:
        yield logging.INFO, line
        return
    if record.start():  # something printed without a newline
        yield logging.INFO, line[: record.start()]
    yield int(record[1]), line[record.end() :]
