"""A job server and a worker pool for tests without a cluster: Beam's job server in Python runs jobs itself."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from include.tfx_airflow.contract.bundle import BUNDLE_ROOT

# Less than TFX, so that a test's pool starts in seconds.
PRELOAD = "apache_beam.runners.worker.sdk_worker_main"


@contextlib.contextmanager
def job_server(folder: Path) -> Iterator[str]:
    """Beam's job server in Python; yields its address."""
    port = folder / "port"
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"]
    command += ["--port=0", f"--port_file={port}"]
    with _running(command, folder / "job-server.log", port, r"(\d+)") as (number, _):
        yield f"localhost:{number}"


@contextlib.contextmanager
def worker_pool(
    folder: Path, token: str = "", host: str = "127.0.0.1", bundle: str = ""
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A pool that was started elsewhere than in the bundle; yields its address and process."""
    command = [sys.executable, "-m", "include.tfx_airflow.tfx_side.beam.worker_pool"]
    settings = {
        "host": host,
        "port": 0,
        "token": token,
        "packages": str(folder / "packages"),
        "preload": PRELOAD,
    }
    log, ready = folder / "pool.log", r"serves Beam workers at [\d.]+:(\d+)"
    with _running(command, log, log, ready, json.dumps(settings)) as (port, process):
        yield f"localhost:{port}", process


@contextlib.contextmanager
def _running(
    command: list[str], log: Path, says: Path, ready: str, first_line: str = ""
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": str(BUNDLE_ROOT)},
        )
    assert process.stdin
    process.stdin.write(first_line.encode() + b"\n")
    process.stdin.flush()
    try:
        deadline = time.monotonic() + 90
        while not (says.exists() and (found := re.findall(ready, says.read_text(errors="replace")))):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.1)
        yield found[0], process
    finally:
        process.kill()
        process.wait()
