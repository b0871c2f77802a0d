"""The node server's socket: in a private folder, with a lock beside it, for one server at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from pathlib import Path

from include.tfx_airflow.contract import wire

_LOCK_SECONDS = 2.0


class Listener:
    """A listening socket whose path belongs to this process alone.

    Attributes:
      socket: Non-blocking, of type SOCK_SEQPACKET.
      open: Whether it accepts new connections.
    """

    def __init__(self, path: Path):
        """Takes the lock and makes the socket.

        Raises:
          WireError: The folder is not private, or another process serves this socket.
          OSError: The socket cannot be made.
        """
        self._path = path
        wire.private_folder(path.parent)
        self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        self._take_lock()
        path.unlink(missing_ok=True)  # of a server that was killed
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(str(path))
        self.socket.listen(128)
        self.socket.setblocking(False)
        self._inode = path.stat().st_ino
        self.open = True

    def _take_lock(self) -> None:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:  # a server that is just ending holds it for a moment
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() > deadline:
                raise wire.WireError(f"another process already serves {str(self._path)!r}.")
            time.sleep(0.05)

    def is_reachable(self) -> bool:
        """Whether the path still leads here; a cleaner of temporary files may have removed it."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Leaves the path to others."""
        if self.open and self.is_reachable():
            _remove(self._path)
        self.close_in_child()

    def close_in_child(self) -> None:
        """Closes what a forked child has inherited; the path stays the server's."""
        if self.open:
            self.open = False
            self.socket.close()
            os.close(self._lock)


def notify_older_servers(path: Path) -> None:
    """Tells servers of the same home with other code, packages or variables that this one has started."""
    for other in path.parent.glob("*.sock"):
        if other == path:
            continue
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(other))
                wire.send(connection, {"ask": "followed"})
                wire.receive(connection)
            except ConnectionRefusedError:
                _remove(other)  # of a server that was killed
            except (OSError, wire.WireError):
                pass  # it is importing and reads this later, or it is just ending


def _remove(path: Path) -> None:
    for suffix in (".sock", ".lock", ".log"):
        path.with_suffix(suffix).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another server's files are there
        path.parent.rmdir()
