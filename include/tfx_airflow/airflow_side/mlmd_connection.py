"""Address of the ML Metadata store, from an Airflow Connection, for the child at run time only.

Where a Connection is named, there is no other store: Airflow says "isn't defined" also when its API server does not
answer, and a run on a new, empty store would find no baseline and push what it should not. Nothing here opens the store:
that is the TFX interpreter's business.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from include.tfx_airflow.contract.errors import MlmdConnectionError, MlmdError
from include.tfx_airflow.contract.mlmd_facts import CONNECTION_KINDS, FORMER_CONNECTION, SSL_FIELDS
from include.tfx_airflow.settings import SECTION, Settings


def address(settings: Settings) -> dict[str, Any]:
    """Where the store is.

    Args:
      settings: `mlmd_conn_id` names the Connection; when it is empty the store is SQLite in `home`.

    Returns:
      `kind` (sqlite, mysql, postgresql) with `path`, or host, port, database, user, password and ssl.

    Raises:
      MlmdConnectionError: The Connection is not there, or cannot be read now.
      MlmdError: Its type or fields do not name a store; or none is named, and there is one that earlier versions used.
    """
    name = settings.mlmd_conn_id
    if not name:
        if _former_is_there():
            raise MlmdError(
                f"there is a Connection {FORMER_CONNECTION!r}, and no setting names it, so it is not used any more. Set "
                f"[{SECTION}] mlmd_conn_id = {FORMER_CONNECTION} (AIRFLOW__{SECTION.upper()}__MLMD_CONN_ID) to go on with its "
                f"store, or delete it to have SQLite in {settings.home!r}."
            )
        return {"kind": "sqlite", "path": str(settings.mlmd_file)}
    connection = _find(name)
    if connection is None:
        raise MlmdConnectionError(
            f"Connection {name!r}, named by [{SECTION}] mlmd_conn_id, is not there or cannot be read now: Airflow says "
            f"so also when its API server or a secrets backend does not answer. See 'airflow connections get {name}', "
            "make or correct it, and run the task again; nothing was done."
        )
    kind = CONNECTION_KINDS.get((connection.conn_type or "").lower())
    if kind is None:
        raise MlmdError(
            f"Connection {name!r} has type {connection.conn_type!r}; it must be one of {sorted(set(CONNECTION_KINDS))}."
        )
    if kind == "sqlite":
        path = connection.host or connection.schema
        if not path:
            raise MlmdError(
                f"Connection {name!r} names no file; write it as sqlite:////absolute/path/metadata.db."
            )
        return {"kind": "sqlite", "path": path}
    for field, value in (("host", connection.host), ("schema", connection.schema)):
        if not value:
            raise MlmdError(
                f"Connection {name!r} ({kind}) has no {field}; give it, schema being the database."
            )
    return {
        "kind": kind,
        "host": connection.host,
        "port": connection.port,
        "database": connection.schema,
        "user": connection.login or "",
        "password": connection.password or "",
        "ssl": {key: value for key, value in connection.extra_dejson.items() if key in SSL_FIELDS[kind]},
    }


def _former_is_there() -> bool:
    try:
        return (
            f"AIRFLOW_CONN_{FORMER_CONNECTION.upper()}" in os.environ or _find(FORMER_CONNECTION) is not None
        )
    except MlmdConnectionError:  # denied to tasks: so they cannot have used it
        return False


def _find(name: str) -> Any:
    """A Connection; None when Airflow has none, or cannot say."""
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None
    except Exception as error:  # of any secrets backend; its text may hold what the backend keeps
        raise MlmdConnectionError(
            f"Connection {name!r} cannot be read: {type(error).__name__}. See that tasks may read it, and run the task "
            "again; nothing was done."
        ) from None
