"""Keeps this process's request, result and SIGTERM from the processes that user code starts.

A pool, a data loader or a plain fork copies the whole process. With a copy of the SIGTERM handler a worker cannot
be terminated, and a copy of a pipe keeps that pipe open for whoever waits for its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator


def take_standard_input() -> int:
    """Moves standard input, still unread, to a descriptor that programs do not inherit.

    Whatever reads standard input from now on reaches its end at once: `input()`, a subprocess, and a forked worker,
    which closes `sys.stdin` and would wait for a thread that reads it.

    Returns:
      The descriptor.
    """
    taken = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return taken


class Terminated:
    """SIGTERM as a file that becomes readable whatever the main thread is doing, in this process only.

    A Python handler has to wait until the main thread comes back from C++, which may take minutes.

    Attributes:
      file: Readable once signals have arrived; `came` reads them.
    """

    def __init__(self) -> None:
        """Takes SIGTERM over; must run in the main thread."""
        self.file, self._written = os.pipe()
        os.set_blocking(self._written, False)
        signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, _: object) -> None:
        """Writes the signal again: user code, such as an event loop, may have signals written to a file of its own."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._written, bytes([number]))

    def came(self) -> bool:
        """Whether SIGTERM is among the signals that have arrived."""
        return signal.SIGTERM in os.read(self.file, 4096)

    def release(self) -> None:
        """Gives all of it up, in a worker; handlers that user code has set stay."""
        if signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        found = signal.set_wakeup_fd(-1)
        if found not in (-1, self._written):
            signal.set_wakeup_fd(found)
        for end in (self.file, self._written):
            os.close(end)


def keep_from_workers(terminated: Terminated, files: list[int]) -> None:
    """Makes sure that processes forked from this one have neither its SIGTERM handler nor these files.

    Args:
      terminated: Released in a worker.
      files: Descriptors that are closed in a worker.
    """
    owner = os.getpid()
    before = threading.local()

    def block() -> None:
        # A worker that is terminated right away must not treat the signal as its parent's.
        if os.getpid() == owner:
            before.mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before.__dict__.pop("mask"))

    def in_parent() -> None:
        if os.getpid() == owner:
            unblock()

    def in_child() -> None:
        if "mask" not in before.__dict__:  # a worker's worker: by now these numbers may belong to other files
            return
        terminated.release()
        for file in files:
            with contextlib.suppress(OSError):
                os.close(file)
        unblock()

    os.register_at_fork(before=block, after_in_parent=in_parent, after_in_child=in_child)


@contextlib.contextmanager
def copies_end_here() -> Iterator[None]:
    """Ends a forked copy of this process that returns from user code instead of exiting.

    Otherwise it would do the rest of the work a second time: publish, for example, and wait for threads that a copy
    does not have.
    """
    own, code = os.getpid(), 0
    try:
        yield
    except SystemExit as end:
        if os.getpid() == own:
            raise
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        if os.getpid() == own:
            raise
        traceback.print_exc()
        code = 1
    if os.getpid() != own:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)
