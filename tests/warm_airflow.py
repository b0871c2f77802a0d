"""A process that has imported Airflow, and runs each command in a fork of itself, as Airflow's own DAG processor does.

    python -m tests.warm_airflow SOCKET

A new `airflow dags test` takes some 12 seconds of processor time before its first task, most of it for the versions of
the API that its tasks talk to; a fork takes 2. A request is a line of JSON: `environment`, `output` (a file), and `airflow`
(arguments) or `python` (code). Answered by the process id of the fork, a line, and by its exit code when it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What is read when Airflow is imported, in this process, must be the same for all that it runs; these are read later.
_READ_LATER = (
    *("AIRFLOW__TFX_AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_"),
    *("AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT"),
    *("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", "LOGNAME"),
)


class WarmAirflow:
    """Client: one such process, started with an environment."""

    def __init__(self, environment: dict[str, str], folder: Path):
        """Starts it; the first command waits until it is ready."""
        self._once = _read_once(environment)
        self._folder = tempfile.TemporaryDirectory()  # of a short name: a socket's path has little room
        self._socket = f"{self._folder.name}/warm"
        with open(folder / "warm_airflow.log", "wb") as log:
            self._process = subprocess.Popen(
                ["python", "-m", "tests.warm_airflow", self._socket],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._log = folder / "warm_airflow.log"

    def fits(self, environment: dict[str, str]) -> bool:
        """Whether a command with this environment does there what it would do in a process of its own."""
        return _read_once(environment) == self._once

    def run(
        self, environment: dict[str, str], cwd: Path, timeout: float, **request: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs `airflow=` arguments or `python=` code; output and errors in `stdout`."""
        with (
            self._connection() as connection,
            connection.makefile("rw") as stream,
            tempfile.NamedTemporaryFile() as output,
        ):
            asked = {**request, "environment": environment, "cwd": str(cwd), "output": output.name}
            stream.write(json.dumps(asked) + "\n")
            stream.flush()
            pid = int(stream.readline())
            connection.settimeout(timeout)
            try:
                code = int(stream.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(
                    str(request), timeout, Path(output.name).read_bytes()
                ) from None
            text = Path(output.name).read_text(errors="replace")
        return subprocess.CompletedProcess(str(request), code, text)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        end = time.monotonic() + 300
        with socket.socket(socket.AF_UNIX) as connection:
            while True:
                try:
                    connection.connect(self._socket)
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    assert self._process.poll() is None and time.monotonic() < end, self._log.read_text()
                    time.sleep(0.1)
            yield connection

    def stop(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def is_read_later(environment: dict[str, str]) -> bool:
    """Whether no variable of these matters when Airflow is imported."""
    return not _read_once(environment)


def _read_once(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_READ_LATER)}


def _warm() -> None:
    import httpx
    from airflow import __main__  # noqa: F401
    from airflow.cli import cli_parser
    from airflow.cli.commands import dag_command  # noqa: F401
    from airflow.sdk.execution_time import supervisor, task_runner  # noqa: F401

    cli_parser.get_parser()
    api = supervisor.in_process_api_server()

    async def ask() -> None:  # makes the API's versions, and leaves no thread
        async with httpx.AsyncClient(transport=api.atransport, base_url="http://in-process") as client:
            (await client.get("/health")).raise_for_status()

    asyncio.run(ask())


def _next_request(path: str) -> dict[str, Any]:
    """Serves; returns in the fork that is to do what was asked."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        server.settimeout(5)
        parent = os.getppid()
        while True:
            try:
                connection = server.accept()[0]
            except TimeoutError:
                if os.getppid() != parent:  # the tests were killed
                    os._exit(0)
                continue
            connection.settimeout(None)
            if not os.fork():
                break
            connection.close()
    # In a fork that waits for another, and tells how it has ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection, connection.makefile("rw") as stream:
        request = json.loads(stream.readline())
        pid = os.fork()
        if not pid:
            return request
        stream.write(f"{pid}\n")
        stream.flush()
        with contextlib.suppress(BrokenPipeError):  # the asker has run out of patience
            stream.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
            stream.flush()
    os._exit(0)


def _run(request: dict[str, Any]) -> None:
    output = os.open(request["output"], os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    from airflow import settings
    from airflow.serialization import serialized_objects

    settings.configure_vars()
    serialized_objects.DAGS_FOLDER = settings.DAGS_FOLDER
    if "python" in request:
        sys.argv = ["-c"]
        exec(compile(request["python"], "<string>", "exec"), {"__name__": "__main__"})
    else:
        from airflow import __main__

        sys.argv = ["airflow", *request["airflow"]]
        __main__.main()


if __name__ == "__main__":
    _warm()
    _run(_next_request(sys.argv[1]))
