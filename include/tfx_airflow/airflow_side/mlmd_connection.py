"""Reads the address of the ML Metadata store from an Airflow Connection, at run time only.

When a Connection is configured, there is no fallback: Airflow says "isn't defined" even when its API server just does
not answer, and a run on a new, empty store would find no baseline and push what it should not. The store itself is
opened by the TFX interpreter.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from include.tfx_airflow.airflow_side import machines
from include.tfx_airflow.contract.errors import MlmdConnectionError, MlmdError
from include.tfx_airflow.contract.mlmd_facts import CONNECTION_KINDS, FORMER_CONNECTION, SSL_FIELDS
from include.tfx_airflow.settings import SECTION, Settings


def address(settings: Settings) -> dict[str, Any]:
    """The address of the store.

    Args:
      settings: `mlmd_conn_id` names the Connection; when it is empty the store is SQLite in `home`.

    Returns:
      `kind` (sqlite, mysql, postgresql) with `path`, or host, port, database, user, password and ssl.

    Raises:
      MlmdConnectionError: The Connection does not exist, or cannot be read now.
      MlmdError: Its type or fields do not name a store, or it is a file and tasks run on several machines; or none is
        configured, but the one that earlier versions used exists.
    """
    name = settings.mlmd_conn_id
    if not name:
        if _former_exists():
            raise MlmdError(
                f"Connection {FORMER_CONNECTION!r} exists, but no setting names it, so it is no longer used. Set "
                f"[{SECTION}] mlmd_conn_id = {FORMER_CONNECTION} (AIRFLOW__{SECTION.upper()}__MLMD_CONN_ID) to keep using its "
                f"store, or delete the Connection to use SQLite in {settings.home!r}."
            )
        machines.refuse_file(settings.mlmd_file)
        return {"kind": "sqlite", "path": str(settings.mlmd_file)}
    connection = _find(name)
    if connection is None:
        raise MlmdConnectionError(
            f"Connection {name!r}, named by [{SECTION}] mlmd_conn_id, does not exist or cannot be read now: Airflow says "
            "the same when its API server or a secrets backend does not answer. Check it with "
            f"'airflow connections get {name}', create or correct it, and run the task again; nothing was done."
        )
    kind = CONNECTION_KINDS.get((connection.conn_type or "").lower())
    if kind is None:
        raise MlmdError(
            f"Connection {name!r} has type {connection.conn_type!r}; it must be mysql, postgres or sqlite."
        )
    return _file(name, connection) if kind == "sqlite" else _server(name, kind, connection)


def _file(name: str, connection: Any) -> dict[str, Any]:
    path = connection.host or connection.schema
    if not path:
        raise MlmdError(
            f"Connection {name!r} has no file path; write it as sqlite:////absolute/path/metadata.db."
        )
    # A relative one is below the bundle's folder, which may be another one after each commit: a new, empty store.
    if not os.path.isabs(path):
        raise MlmdError(
            f"Connection {name!r} has the relative path {path!r}; write it as sqlite:////absolute/path/metadata.db, with "
            "four slashes."
        )
    machines.refuse_file(path)
    return {"kind": "sqlite", "path": path}


def _server(name: str, kind: str, connection: Any) -> dict[str, Any]:
    for field, meaning in (("host", "the database server"), ("schema", "the name of the database")):
        if not getattr(connection, field):
            raise MlmdError(f"Connection {name!r} ({kind}) has no {field}; set it to {meaning}.")
    extra = connection.extra_dejson
    # A misspelt one would mean a connection without encryption.
    if unknown := sorted(n for n in extra if n.startswith(("ssl", "tls")) and n not in SSL_FIELDS[kind]):
        raise MlmdError(
            f"Connection {name!r} ({kind}) has {unknown} in its extra; of TLS there may be {list(SSL_FIELDS[kind])}."
        )
    return {
        "kind": kind,
        "host": connection.host,
        "port": connection.port,
        "database": connection.schema,
        "user": connection.login or "",
        "password": connection.password or "",
        "ssl": {key: value for key, value in extra.items() if key in SSL_FIELDS[kind]},
    }


def _former_exists() -> bool:
    try:
        return (
            f"AIRFLOW_CONN_{FORMER_CONNECTION.upper()}" in os.environ or _find(FORMER_CONNECTION) is not None
        )
    except MlmdConnectionError:  # denied to tasks, so they cannot have used it
        return False


def _find(name: str) -> Any:
    """The Connection; None when Airflow has none or cannot tell."""
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None
    except Exception as error:  # from any secrets backend; its text may contain secrets
        raise MlmdConnectionError(
            f"Connection {name!r} cannot be read: {type(error).__name__}. Make sure that tasks may read it, and run the task "
            "again; nothing was done."
        ) from None
