"""Beam's own pool of Python workers, for `--environment_type=EXTERNAL`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.bundle import ROOT, TFX_PYTHON
from tests.cluster.process import Process, free_port, listens


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """A pool with its log in a folder; yields its address."""
    port = free_port()
    # It starts workers by the bare name `python`.
    path = os.pathsep.join([os.path.dirname(TFX_PYTHON), os.environ.get("PATH", os.defpath)])
    pool = Process(
        "beam-worker-pool",
        [TFX_PYTHON, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"],
        folder,
        {"PATH": path, "PYTHONPATH": str(ROOT)},
    )
    try:
        pool.wait_until(lambda: listens(port))
        yield f"127.0.0.1:{port}"
    finally:
        pool.end()
