"""This bundle's pool of Beam workers, as `python -m include.tfx_airflow beam-workers` serves it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from tests.bundle import Bundle
from tests.cluster.job_server import JobServer
from tests.cluster.process import Process, free_port, listens


@contextlib.contextmanager
def running(bundle: Bundle, folder: Path) -> Iterator[str]:
    """A pool with its log in a folder; yields its address.

    Args:
      bundle: The Airflow whose settings it has.
      folder: For its log.
    """
    port = free_port()
    pool = Process(
        "beam-workers",
        ["python", "-m", "include.tfx_airflow", "beam-workers", "--port", str(port)],
        folder,
        bundle.environment,
    )
    try:
        pool.wait_until(lambda: listens(port))
        yield f"127.0.0.1:{port}"
    finally:
        pool.end()


def connection(server: JobServer, workers: str, ui: str) -> str:
    """The Airflow Connection of a cluster, as the value of AIRFLOW_CONN_..."""
    host, port = server.endpoint.split(":")
    extra = {"worker_pool": workers, "ui": ui}
    return json.dumps({"conn_type": "generic", "host": host, "port": int(port), "extra": extra})
