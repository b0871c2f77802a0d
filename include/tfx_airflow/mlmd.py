"""Address of the ML Metadata store, from an Airflow Connection, for the child at run time only.

Nothing here opens the store: that is the TFX interpreter's business.
"""

from __future__ import annotations

from typing import Any

from include.tfx_airflow.compat import AirflowNotFoundException, BaseHook
from include.tfx_airflow.errors import MlmdError
from include.tfx_airflow.settings import Settings

_KINDS = {"sqlite": "sqlite", "mysql": "mysql", "postgres": "postgresql", "postgresql": "postgresql"}
_SSL = {
    "mysql": ("key", "cert", "ca", "capath", "cipher", "verify_server_cert"),
    "postgresql": ("sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert"),
}


def address(settings: Settings) -> dict[str, Any]:
    """Where the store is.

    Args:
      settings: `mlmd_conn_id` names the Connection; without it the store is SQLite in `home`.

    Returns:
      `kind` (sqlite, mysql, postgresql) with `path`, or host, port, database, user, password and ssl.

    Raises:
      MlmdError: The Connection's type or fields do not name a store.
    """
    try:
        connection = BaseHook.get_connection(settings.mlmd_conn_id)
    except AirflowNotFoundException:
        return {"kind": "sqlite", "path": str(settings.mlmd_file)}
    name = settings.mlmd_conn_id
    kind = _KINDS.get((connection.conn_type or "").lower())
    if kind is None:
        raise MlmdError(
            f"Connection {name!r} has type {connection.conn_type!r}; it must be one of {sorted(set(_KINDS))}."
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
        "ssl": {key: value for key, value in connection.extra_dejson.items() if key in _SSL[kind]},
    }
