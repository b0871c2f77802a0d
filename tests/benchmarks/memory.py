"""Memory of all processes of a lane while it runs."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Iterator

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_SECONDS = 2.0
_MEGABYTE = 2**20
# The database server of Airflow 2: a user has one anyway.
_NOT_COUNTED = ("postgres",)


def adopt_orphans() -> None:
    """Makes daemons that a lane leaves behind children of this process, so that they are seen and ended."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def end_children() -> None:
    """Ends all processes below this one that are no database server."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        found = [process for process, _ in _processes()]
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        psutil.wait_procs(found, timeout=15)


def _processes() -> Iterator[tuple[psutil.Process, int]]:
    """Processes below this one with their resident bytes."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE and process.name() not in _NOT_COUNTED:
                yield process, process.memory_info().rss


class Memory:
    """Peaks while its block runs, of proportional set sizes (PSS): shared pages are counted once.

    Attributes:
      idle: Megabytes of all processes when the block began.
      total: Highest sum over all processes.
      largest: Highest of any one process that was born in the block.
    """

    def __init__(self) -> None:
        self.idle = self.total = self.largest = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._before = {process.pid for process, _ in _processes()}
        self.idle = self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SECONDS):
            self._sample()

    def _sample(self) -> float:
        total = 0.0
        for process, resident in _processes():
            with contextlib.suppress(psutil.Error, OSError):
                # The kernel walks the pages for it: not for the many small ones.
                own = resident if resident < 50 * _MEGABYTE else process.memory_full_info().pss
                total += own / _MEGABYTE
                if process.pid not in self._before:
                    self.largest = max(self.largest, own / _MEGABYTE)
        self.total = max(self.total, total)
        return total

    def row(self) -> dict[str, float]:
        """The peaks in megabytes."""
        return {"idle": self.idle, "total": self.total, "largest": self.largest}
