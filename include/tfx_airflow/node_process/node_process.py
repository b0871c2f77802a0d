"""Runs one node in a child of the TFX interpreter: request, log, result, kill.

The child gets a `NodeRequest` and returns a `NodeResult`; it makes no difference here whether the node
server forks it or it is a new process (`process.py`).
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping

from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import BeamError
from include.tfx_airflow.contract.node import EXIT_CODES, NodeRequest, NodeResult
from include.tfx_airflow.contract.stream import Stream
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import Settings

_TAIL_LINES = 40


class NodeProcess:
    """A node running in a child of the TFX interpreter.

    The request goes through the child's standard input, which stays open: when this process dies,
    however hard, the child reads end-of-file, records the failure and ends its process group.
    """

    def __init__(
        self, settings: Settings, request: NodeRequest, own_environment: Mapping[str, str] | None = None
    ):
        """Starts the child.

        Args:
          settings: Of this deployment.
          request: What to run.
          own_environment: Variables of this child only.

        Raises:
          SettingsError: There is no usable interpreter.
        """
        self._settings = settings
        self._request = dataclasses.replace(request, kill_grace=settings.kill_grace)
        self._ends: list[int] = []
        self._process = process.start(
            settings,
            "include.tfx_airflow.tfx_side.node.run_node",
            self._make_files,
            request.task.get("key", ""),
            own_environment=own_environment,
        )
        # Only now: if the server forks a child for a request that this process has given up, the child
        # finds nothing to do.
        self._writer = threading.Thread(target=self._write_request, daemon=True)
        self._writer.start()

    def _make_files(self) -> tuple[int, int, int]:
        self._close()
        stdin, self._stdin = os.pipe()
        self._output, output = os.pipe()
        self._result, result = os.pipe()
        self._ends = [self._stdin, self._output, self._result]
        return stdin, output, result

    def _close(self) -> None:
        for end in self._ends:
            os.close(end)
        self._ends = []

    def _write_request(self) -> None:
        data = memoryview(self._request.to_json().encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._stdin, data) :]

    def wait(self, log: Callable[[int, str], None]) -> NodeResult:
        """Passes the child's log on until it ends.

        Args:
          log: Takes a `logging` level and a line.

        Returns:
          The result record. Without one (the child was killed or crashed) the state is `failed`,
          the message holds the child's last lines, and the execution is FAILED in MLMD.
        """
        tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        stream = Stream(self._output, self._result)
        code: list[int | None] = []

        def reap() -> None:
            code.append(self._process.wait())
            stream.end()

        reaper = threading.Thread(target=reap, daemon=True)
        reaper.start()
        for level, line in stream.lines():
            tail.append(line)
            log(level, line)
        reaper.join()
        self._writer.join(1)
        self._close()
        result = NodeResult(**json.loads(stream.record)) if stream.record.endswith(b"\n") else None
        # If the server was killed, the child's exit code is unknown.
        if result and code[0] in (None, EXIT_CODES[result.state]):
            return result
        self._abandon()
        return NodeResult(
            "failed",
            message=f"the child {_how_it_ended(code[0])} before it could report more\n" + "\n".join(tail),
        )

    def kill(self) -> None:
        """Asks the child to record its failure and end; SIGKILL to its group after the grace.

        Safe in a signal handler: it reads nothing that `wait` reads.
        """
        self._process.signal(signal.SIGTERM)
        timer = threading.Timer(self._settings.kill_grace, self._process.signal, [signal.SIGKILL])
        timer.daemon = True
        timer.start()

    def _abandon(self) -> None:
        """Marks what the dead child left RUNNING as FAILED."""
        try:
            done = subprocess.run(
                [self._settings.python, "-m", "include.tfx_airflow.tfx_side.node.abandon"],
                input=self._request.to_json().encode() + b"\n",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=process.child_environment(self._settings),
                cwd=BUNDLE_ROOT,
                timeout=120,
                check=True,
            )
            for line in done.stdout.decode(errors="replace").splitlines():
                if line.startswith(BeamError.headline):
                    logging.getLogger(__name__).warning("%s", line)
        except subprocess.SubprocessError as error:
            # The next attempt marks it, so the run goes on; but not silently.
            lines = (getattr(error, "stdout", None) or b"").decode(errors="replace").strip().splitlines()
            logging.getLogger(__name__).warning(
                "Could not mark node %r as FAILED in MLMD: %s", self._request.node_id, lines[-1:] or error
            )


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "and the node server were killed"
    return process.end_of(code)
