"""Reads the address of a Beam runner's cluster from its Airflow Connection, at run time only."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook

from include.tfx_airflow.contract.beam_runner import BeamTarget, find
from include.tfx_airflow.contract.errors import BeamConnectionError, ConfigError
from include.tfx_airflow.settings import Settings

# What a Connection's extra may hold.
EXTRA = ("artifact_endpoint", "worker_pool", "worker_pool_token", "ui", "tls")
_EXAMPLE = (
    '{"conn_type": "generic", "host": "jobs.example.com", "port": 8099, "extra": {"worker_pool": "localhost:50000", '
    '"ui": "http://flink.example.com:8081"}}'
)


def target(name: str, what: str, job_name: str, settings: Settings) -> BeamTarget:
    """A runner with what its Connection says.

    Args:
      name: Of the runner.
      what: Who asks for it, for errors.
      job_name: See `BeamTarget`.
      settings: Of this deployment.

    Raises:
      ConfigError: There is no such runner, or its Connection lacks something.
      BeamConnectionError: Its Connection does not exist or cannot be read now.
    """
    runner = find(name, what)
    found = BeamTarget(name, dataclasses.asdict(runner), job_name, home=settings.home)
    if not runner.conn_id:
        return found
    connection = _find(runner.conn_id, name)
    extra = connection.extra_dejson
    place = f"Connection {runner.conn_id!r} of Beam runner {name!r}"
    if unknown := sorted(set(extra) - set(EXTRA)):
        raise ConfigError(f"{place} has {unknown} in its extra; there may be {list(EXTRA)}.")
    if not connection.host or not connection.port:
        raise ConfigError(f"{place} needs host and port of the job server, such as {_EXAMPLE}.")
    if runner.kind == "flink" and not extra.get("ui"):
        raise ConfigError(
            f"{place} needs 'ui' in its extra: the address of Flink's pages, without which no job can be cancelled, since "
            f"Beam's job server only stops waiting for it; such as {_EXAMPLE}."
        )
    if runner.workers == "pool" and not extra.get("worker_pool"):
        raise ConfigError(
            f"{place} needs 'worker_pool' in its extra: the worker pool as the cluster's own workers reach it, such as "
            f"{_EXAMPLE}; or give the runner workers='task'."
        )
    return dataclasses.replace(
        found,
        job_endpoint=f"{connection.host}:{connection.port}",
        artifact_endpoint=str(extra.get("artifact_endpoint") or ""),
        token=connection.password or "",
        tls=_flag(extra.get("tls", False), f"'tls' in the extra of {place}"),
        worker_pool=str(extra.get("worker_pool") or ""),
        worker_pool_token=str(extra.get("worker_pool_token") or ""),
        ui=_page(str(extra.get("ui") or "").rstrip("/"), f"'ui' in the extra of {place}"),
    )


def _page(address: str, what: str) -> str:
    """An address that logs and links may show: its text is in no error, as a password may be in it."""
    try:
        parts = urlsplit(address)
        is_page = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        is_page = False
    if address and not is_page:
        raise ConfigError(f"{what} is not an address such as http://flink.example.com:8081.")
    if address and "@" in parts.netloc:
        raise ConfigError(
            f"{what} has a user or a password in it, but the address is shown in logs and links; name the page without them, "
            "behind a proxy of yours if it asks for a password."
        )
    return address


def _flag(value: Any, what: str) -> bool:
    """A Connection that is written as a URI has text for it."""
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if found is None:
        raise ConfigError(f"{what} is {value!r}; it must be true or false.")
    return found


def _find(conn_id: str, name: str) -> Any:
    try:
        return BaseHook.get_connection(conn_id)
    except Exception as error:  # from any secrets backend; its text may contain secrets
        raise BeamConnectionError(
            f"Connection {conn_id!r} of Beam runner {name!r} does not exist or cannot be read now "
            f"({type(error).__name__}): create it, such as {_EXAMPLE}, and run the task again; nothing was done."
        ) from None
