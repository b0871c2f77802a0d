"""The lock that a node holds while it uses the store."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import Any

from include.tfx_airflow.tfx_side.mlmd.database import Server, unusable

_NODE_SECONDS = 60.0  # that an attempt waits for an earlier one that is using the store


class StoreLock:
    """A lock held while a node uses the store: a file beside a SQLite store, one lock per node on a server.

    MLMD's writers starve one another in SQLite's rollback journal (single calls took 10 s), and two
    first users race on creating the schema. Held only over driver and publisher steps, never while
    an executor works, so parallel branches stay parallel. On a server it separates only what would change
    the same executions: the tries of one task instance, and their clean-up.
    """

    def __init__(self, address: dict[str, Any], node: str = ""):
        """Does not take the lock yet.

        Args:
          address: The store.
          node: One task instance, see `identity.tries_name`; empty for no lock on a server.
        """
        self._address = address
        self._node = node
        self._path = address["path"] + ".lock" if address["kind"] == "sqlite" else ""
        self._mutex = threading.RLock()
        self._depth = 0
        self._file = -1
        self._server: Server | None = None

    def acquire(self) -> None:
        """Takes the lock; the thread that holds it may take it again.

        Raises:
          MlmdError: The store cannot be used, or another attempt at the node has kept it for too long.
        """
        self._mutex.acquire()
        self._depth += 1
        if self._depth > 1:
            return
        try:
            if self._path:
                self._lock_file()
            elif self._node:
                self._lock_on_server()
        except BaseException:
            self._depth -= 1
            self._mutex.release()
            raise

    def _lock_file(self) -> None:
        try:
            os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unusable(self._address, error) from None
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def _lock_on_server(self) -> None:
        server = Server(self._address).__enter__()
        try:
            server.wait_for_lock(self._node, _NODE_SECONDS)
        except BaseException:
            server.__exit__()
            raise
        self._server = server

    def is_held(self) -> bool:
        """Whether it is still held: a server may have lost the connection that holds it."""
        return self._server is None or self._server.has_lock()

    def release(self) -> None:
        """Releases the lock."""
        self._depth -= 1
        if self._depth == 0:
            if self._path:
                os.close(self._file)
            elif self._server:
                self._server.__exit__()
                self._server = None
        self._mutex.release()

    def __enter__(self) -> StoreLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
