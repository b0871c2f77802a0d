"""`up`: runs Airflow with everything it needs in one process group, stopped by Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from airflow.configuration import AIRFLOW_HOME

from include.tfx_airflow.commands import serve

_PASSWORDS = "simple_auth_manager_passwords.json.generated"
_START_SECONDS, _STOP_SECONDS = 180, 20


def main(port: int) -> int:
    """Starts `airflow standalone`, prints its URL, and waits.

    Args:
      port: TCP port of the UI and API on localhost.

    Returns:
      0 after Ctrl-C or SIGTERM, 1 if Airflow did not start or stopped by itself.
    """
    if _is_taken(port):
        print(
            f"Port {port} is in use; choose another: AIRFLOW__API__PORT={port + 1} make up", file=sys.stderr
        )
        return 1
    try:
        with running(port) as process:
            if process is None:
                return 1
            print("Ctrl-C stops it.", flush=True)
            process.wait()
            has_ended(process)
            return 1
    except KeyboardInterrupt:
        return 0


@contextlib.contextmanager
def running(port: int) -> Iterator[subprocess.Popen[bytes] | None]:
    """Runs `airflow standalone`, and with it the node server, while the block runs.

    Ctrl-C and SIGTERM leave the block with KeyboardInterrupt.

    Args:
      port: TCP port of the UI and API on localhost; 0 for any free one.

    Yields:
      Its process, once it is healthy; None if it did not start, which is printed.
    """
    # A shell starts background jobs with SIGINT ignored; either signal must stop everything.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    port = port or _free_port()
    url = f"http://localhost:{port}"
    print(f"==> starting Airflow (log: {_log()})", flush=True)
    with open(_log(), "wb") as log:
        # SIGTERM to `standalone` alone leaves its four children running, so the whole group gets it.
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(port, url),
            start_new_session=True,
        )
    try:
        if not _wait_until_healthy(process, url):
            print("".join(_log().read_text(errors="replace").splitlines(True)[-30:]), file=sys.stderr)
            print(f"Airflow did not start; see {_log()}", file=sys.stderr)
            yield None
            return
        print(f"Airflow is at {url}", flush=True)
        for user, password in json.loads((Path(AIRFLOW_HOME) / _PASSWORDS).read_text()).items():
            print(f"Login: {user}   Password: {password}", flush=True)
        yield process
    finally:
        print("\n==> stopping Airflow", flush=True)
        stop(process)
        serve.stop()


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether Airflow has stopped by itself, which is printed."""
    code = process.poll()
    if code is not None:
        print(f"Airflow ended with exit code {code}; see {_log()}", file=sys.stderr)
    return code is not None


def _log() -> Path:
    return Path(AIRFLOW_HOME) / "standalone.log"


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _environment(port: int, url: str) -> dict[str, str]:
    environment = dict(os.environ)
    environment["AIRFLOW__API__PORT"] = str(port)
    environment["AIRFLOW__API__HOST"] = "127.0.0.1"
    environment["AIRFLOW__API__BASE_URL"] = url
    environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"{url}/execution/"
    return environment


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, urllib.error.URLError):
            with urllib.request.urlopen(f"{url}/api/v2/monitor/health", timeout=5) as answer:
                health = json.load(answer)
            if all((health.get(part) or {}).get("status") == "healthy" for part in parts):
                return True
        time.sleep(0.5)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stops Airflow and all it has started, a process group: first SIGTERM, after a while SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
