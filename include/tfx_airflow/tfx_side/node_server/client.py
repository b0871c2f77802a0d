"""One client of the node server: its connection, its request, the child that serves it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from include.tfx_airflow.contract import wire

_FIELDS = {
    "protocol": int,
    "home": str,
    "bundle": str,
    "module": str,
    "environment": dict,
    "umask": int,
    "grace": float,
    "detached": bool,
    "label": str,
}
_FILES = 3  # standard input, standard output and error, extra


@dataclasses.dataclass(eq=False)
class Client:
    """A connection; `request` and `files` are set once it has asked to run something.

    Attributes:
      since: When it connected, in seconds of the monotonic clock.
      notified: Whether it was notified that it waits for a slot.
      pid: Process id of the child; 0 before and after.
      gone: Whether it has closed its end.
      kill_at: When a child whose asking task has gone is killed; 0 for never.
    """

    connection: socket.socket
    since: float = dataclasses.field(default_factory=time.monotonic)
    asked: bool = False
    request: dict[str, Any] = dataclasses.field(default_factory=dict)
    files: list[int] = dataclasses.field(default_factory=list)
    notified: bool = False
    pid: int = 0
    gone: bool = False
    kill_at: float = 0.0

    def problem(self, message: dict[str, Any], home: str) -> str:
        """What is wrong with a request to run something; empty if nothing is."""
        wrong = [name for name, kind in _FIELDS.items() if type(message.get(name)) is not kind]
        if wrong:
            return f"its fields {wrong} are missing or of the wrong type"
        if message["protocol"] != wire.PROTOCOL:
            return f"it uses protocol {message['protocol']}, the server {wire.PROTOCOL}"
        if len(self.files) != _FILES:
            return f"it came with {len(self.files)} files instead of {_FILES}"
        if message["home"] != home:
            return f"it is for home {message['home']!r}, the server for {home!r}"
        return ""

    @property
    def waits(self) -> bool:
        """Whether it has asked for a child and has none yet."""
        return bool(self.request) and not self.pid

    @property
    def needs_slot(self) -> bool:
        """Whether its child is a node; a detached one compiles a pipeline while a DAG file waits."""
        return bool(self.request) and not self.request["detached"]

    def answer(self, message: dict[str, Any]) -> None:
        """Sends a packet; a lost connection is noticed elsewhere."""
        if not self.gone:
            with contextlib.suppress(OSError):
                wire.send(self.connection, message)

    def forked(self, pid: int) -> None:
        """Records the child's start; drops the request's files and environment, which may hold secrets."""
        self.pid = pid
        self.close_files()
        self.request["environment"] = {}
        self.answer({"pid": pid})

    def has_ended(self) -> bool:
        """If the child has ended, kills what it left behind (Beam workers) and tells the asking task."""
        # Not reaped yet: until then no other process can get its number.
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        self.kill_child()
        _, status = os.waitpid(self.pid, 0)
        self.answer({"code": os.waitstatus_to_exitcode(status)})
        self.pid = 0
        return True

    def kill_child(self) -> None:
        """Kills the child's process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def describe(self) -> dict[str, Any]:
        """Its child, for the server's status."""
        return {
            "pid": self.pid,
            "module": self.request["module"],
            "label": self.request["label"],
            "seconds": round(time.monotonic() - self.since, 1),
            "megabytes": megabytes(self.pid),
        }

    def close_files(self) -> None:
        """Closes the received files."""
        for file in self.files:
            os.close(file)
        self.files = []

    def close(self) -> None:
        """Closes the connection and the received files."""
        self.connection.close()
        self.close_files()


def megabytes(pid: int) -> int:
    """Memory of a process in MB (PSS: shared pages count in part)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) // 1024
