"""The tasks' side of the node server: finds or starts it, has it fork a child, follows the child to its end.

The server's socket path reflects what it has imported: user, Airflow home, interpreter, and a key of its
packages and of this package's code. When any of these changes, tasks look at another path and find or
start another server, so an outdated one is never used. The location of this package's code does not
matter: one server serves all commits of a bundle that share it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.tfx_airflow.contract import server_key, wire
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.settings import Settings

_CONNECT_SECONDS = 10.0
# A first import from a cold disk took 35 s.
_START_SECONDS = 180.0
# On top of the child's own grace: the asking task kills it first, the server only what is left.
_MORE_GRACE = 5.0

log = logging.getLogger(__name__)


class UnavailableError(Exception):
    """No server can do the work; the text says why. A new process can."""


def socket_path(settings: Settings, environment: Mapping[str, str]) -> Path:
    """Where the server for these settings listens.

    Args:
      settings: Of this deployment.
      environment: Of a child, see `process.child_environment`.
    """
    return _folder(settings) / f"{server_key.key(settings.python, settings.pythonpath, environment)}.sock"


def socket_paths(settings: Settings) -> list[Path]:
    """Where servers of this deployment listen, whatever they have imported."""
    return sorted(_folder(settings).glob("*.sock"))


def _folder(settings: Settings) -> Path:
    place = hashlib.sha256(f"{settings.home}\0{settings.python}".encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir(), f"tfx-airflow-{os.getuid()}", place)


class EndedError(UnavailableError):
    """The server ended before it answered; the next one can do the work."""


class WarmProcess:
    """A child that the server forked."""

    def __init__(self, connection: socket.socket, pid: int):
        """Takes over the connection on which the server will report the child's end."""
        self._connection = connection
        self._started = _start_time(pid)
        self._ended = False
        self.pid = pid

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for the child's end.

        Returns:
          The exit code, negative for a signal; None if it cannot be known, because the server was
          killed while the child ran.

        Raises:
          subprocess.TimeoutExpired: It has not ended in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._connection.settimeout(timeout)
        code: int | None = None
        try:
            message, _ = wire.receive(self._connection)
            code = message["code"] if message else None
        except TimeoutError:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
        except (OSError, wire.WireError):
            pass
        while code is None and _start_time(self.pid) == self._started is not None:
            if deadline and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.1)
        if code is None:
            self.signal(signal.SIGKILL)  # what it left behind, which the server can no longer kill
        self._ended = True
        self._connection.close()
        return code

    def signal(self, number: int) -> None:
        """Sends a signal to the child, SIGKILL to its process group; does nothing once it has ended."""
        if not self._ended:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if number == signal.SIGKILL else os.kill)(self.pid, number)


def _start_time(pid: int) -> str | None:
    """The start time of a process, which tells it from a later one of the same number; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def fork(
    settings: Settings,
    environment: Mapping[str, str],
    module: str,
    files: tuple[int, int, int],
    label: str,
    detached: bool = False,
    timeout: float | None = None,
) -> WarmProcess:
    """Has the server fork a child that runs a module; starts the server when there is none.

    Args:
      settings: Of this deployment.
      environment: Of the child.
      module: Runs as `python -m module FD`, FD being the extra file.
      files: The child's standard input, its standard output and error, and the extra file.
      label: What the child is for, shown in the server's status.
      detached: The child outlives this process, as a new process of its own session would.
      timeout: Seconds in which the child must have started.

    Raises:
      EndedError: The server has just ended.
      UnavailableError: There is no server and none can be started, or it refuses.
      subprocess.TimeoutExpired: A detached child has not started in time; it still will.
    """
    deadline = time.monotonic() + (timeout or _START_SECONDS)
    connection = found = None
    try:
        path = socket_path(settings, environment)
        connection = found = _connect(path)
        if connection is None:
            connection = _start(settings, environment, path)
        request = {
            "ask": "run",
            "protocol": wire.PROTOCOL,
            "home": settings.home,
            "bundle": str(BUNDLE_ROOT),
            "module": module,
            "environment": dict(environment),
            "umask": _umask(),
            "grace": settings.kill_grace + _MORE_GRACE,
            "detached": detached,
            "label": label,
        }
        wire.send(connection, request, files)
        pid = _answer(connection, path, deadline)
    except TimeoutError:
        if connection:
            connection.close()
        if detached:
            raise subprocess.TimeoutExpired(module, timeout or 0) from None
        raise UnavailableError(f"it did not answer within {_START_SECONDS:.0f} s") from None
    except (OSError, wire.WireError, UnavailableError) as error:
        if connection:
            connection.close()
        ended = isinstance(error, (ConnectionResetError, BrokenPipeError, EndedError))
        raise (EndedError if ended and found else UnavailableError)(str(error)) from None
    except BaseException:  # the task is being ended: closing tells the server
        if connection:
            connection.close()
        raise
    return WarmProcess(connection, pid)


def _umask() -> int:
    # os.umask() would have to change it for a moment, for all threads.
    found = re.search(r"^Umask:\s*([0-7]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1], 8) if found else 0o022


def _answer(connection: socket.socket, path: Path, deadline: float) -> int:
    """Waits for the child's process id."""
    connection.settimeout(max(deadline - time.monotonic(), 0.01))
    while True:
        try:
            message, _ = wire.receive(connection)
        except ConnectionResetError:
            message = None
        if message is None:
            raise EndedError(f"it ended before it answered: {_last_line(path)}")
        if "refused" in message:
            raise UnavailableError(message["refused"])
        if "pid" in message:
            return message["pid"]
        # However long it takes: a new process would break the limit on slots.
        log.info(
            "Waiting for a slot: %s nodes are running, as many as [tfx_airflow] node_server_slots allows.",
            message["waiting"],
        )
        connection.settimeout(None)


def _connect(path: Path) -> socket.socket | None:
    """Connects to a running server; None when there is none.

    Raises:
      WireError: It is not this user's.
    """
    for folder in (path.parent.parent, path.parent):
        wire.private_folder(folder)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(_CONNECT_SECONDS)
    try:
        connection.connect(str(path))
        wire.check_peer(connection)
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def command(settings: Settings, path: Path, idle: float) -> list[str]:
    """The command line of a server."""
    return [
        settings.interpreter(),
        *("-u", "-m", "include.tfx_airflow.tfx_side.node_server.server"),
        *("--socket", str(path), "--home", settings.home),
        *("--idle", str(idle), "--slots", str(settings.node_server_slots)),
    ]


def _start(settings: Settings, environment: Mapping[str, str], path: Path) -> socket.socket:
    """Starts a server in a session of its own and connects to it while it is still importing."""
    log.info("Starting the node server, which imports TFX once for all nodes (10-20 s).")
    with open(path.with_suffix(".log"), "wb") as output:
        process = subprocess.Popen(
            command(settings, path, settings.node_server_idle),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=BUNDLE_ROOT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _CONNECT_SECONDS
    while time.monotonic() < deadline:
        connection = _connect(path)  # to this one, or to one that another task has started
        if connection:
            return connection
        if process.poll() is not None:
            raise UnavailableError(f"it did not start: {_last_line(path)}")
        time.sleep(0.02)
    raise UnavailableError(f"it did not listen within {_CONNECT_SECONDS:.0f} s: {_last_line(path)}")


def _last_line(path: Path) -> str:
    try:
        lines = path.with_suffix(".log").read_text(errors="replace").strip().splitlines()
    except OSError as error:
        return str(error)
    return lines[-1] if lines else "its log is empty"


def ask(settings: Settings, environment: Mapping[str, str], what: str) -> dict[str, Any] | None:
    """Asks a running server for its `status`, or to `retire`; see `ask_at`."""
    return ask_at(socket_path(settings, environment), what)


def ask_at(path: Path, what: str) -> dict[str, Any] | None:
    """Asks the server at that path, if it runs, for its `status`, or to `retire`.

    Returns:
      Its answer; {} when it is still importing; None when there is no server.

    Raises:
      WireError: The folder of its socket is not private to this user.
      OSError: The socket cannot be used.
    """
    connection = _connect(path)
    if connection is None:
        return None
    with connection:
        connection.settimeout(2.0)
        try:
            wire.send(connection, {"ask": what})
            return wire.receive(connection)[0]
        except TimeoutError:
            return {}
        except ConnectionError:  # it is just ending
            return None
