"""Finds which Beam runners can be used from this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from include.tfx_airflow.airflow_side import beam_connection
from include.tfx_airflow.contract.beam_runner import BeamTarget, table
from include.tfx_airflow.contract.errors import BeamConnectionError, ConfigError
from include.tfx_airflow.settings import Settings

_SECONDS = 3.0


def findings(settings: Settings) -> Iterator[tuple[bool | None, str]]:
    """Checks each runner of the table; yields (good, text), where None means a note."""
    try:
        runners = table()
    except ConfigError as error:
        yield False, str(error)
        return
    here = sorted(name for name, runner in runners.items() if not runner.conn_id)
    yield True, f"Beam runners without a job server: {', '.join(here) or 'none'}"
    for name, runner in sorted(runners.items()):
        if not runner.conn_id:
            continue
        try:
            target = beam_connection.target(name, "doctor", "", settings)
        except BeamConnectionError:
            yield None, f"Beam runner {name!r} cannot be used: there is no Connection {runner.conn_id!r}"
        except ConfigError as error:
            yield False, str(error)
        else:
            yield from _reached(name, target)


def _reached(name: str, target: BeamTarget) -> Iterator[tuple[bool | None, str]]:
    host, _, port = target.job_endpoint.rpartition(":")
    yield _answers(f"job server of Beam runner {name!r}", host, int(port), target.of.conn_id)
    if target.ui:
        address = urlsplit(target.ui)
        default = 443 if address.scheme == "https" else 80
        yield _answers(
            f"page of Beam runner {name!r}",
            address.hostname or "",
            address.port or default,
            target.of.conn_id,
        )
    if target.of.workers == "pool":
        yield None, f"Beam runner {name!r} has its workers at {target.worker_pool}, as seen from the cluster"


def _answers(what: str, host: str, port: int, conn_id: str) -> tuple[bool, str]:
    try:
        with socket.create_connection((host, port), _SECONDS):
            return True, f"{what} answers at {host}:{port}"
    except OSError as error:
        return False, (
            f"{what} does not answer at {host}:{port} ({error}); start it, or correct Connection {conn_id!r}."
        )
