"""A server of a cluster: a child process with a log, which ends with the process that started it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_START_SECONDS = 120.0
_SHOWN_CHARACTERS = 3000


class ServerError(Exception):
    """A server of a cluster does not run; the message ends with the last lines of its log."""


class Process:
    """A server that runs in a folder of its own.

    Attributes:
      name: What its errors call it.
      log: The file with all that it says.
    """

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ):
        """Starts it.

        Args:
          name: See the attribute; `<name>.log` in the folder is its log.
          command: Program and arguments.
          folder: Its working directory; made if it is missing.
          environment: Variables beside those of this process.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *command],  # nothing is left when pytest itself is killed
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the server itself; also the id of its process group."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], object], seconds: float = _START_SECONDS) -> None:
        """Waits until it is ready; ends it if it never is.

        Args:
          ready: Gives something true when it is; an OSError or a ValueError means not yet.
          seconds: How long that may take.

        Raises:
          ServerError: It ended, or the time is up.
        """
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, ValueError):
                if ready():
                    return
            code = self._process.poll()
            if code is not None:
                raise ServerError(f"{self.name} ended with {code}: {self._last_words()}")
            if time.monotonic() > deadline:
                self.end()
                raise ServerError(f"{self.name} was not ready in {seconds:.0f} s: {self._last_words()}")
            time.sleep(0.2)

    def end(self) -> None:
        """Kills it with all that it started; it holds nothing that would be lost."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _last_words(self) -> str:
        text = self.log.read_text(errors="replace")[-_SHOWN_CHARACTERS:]
        return f"the end of {self.log} is\n{text}"


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def get_json(url: str) -> Any:
    """What a REST interface answers to GET."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)
