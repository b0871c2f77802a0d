"""Makes the store's SQLAlchemy URL from an Airflow Connection, a setting or a file path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mlmd_panel.errors import SettingsError
from mlmd_panel.store.mlmd_facts import CONNECTION_KINDS, FORMER_CONNECTION, SQLITE_FILE, SSL_FIELDS

_EXAMPLES = "sqlite:////srv/mlmd/metadata.db, mysql://user@host/mlmd or postgresql://user@host/mlmd"
# MLMD's names of the Connection's extras and those of the MySQL driver; PostgreSQL's driver uses MLMD's names.
_PYMYSQL = {
    "key": "ssl_key",
    "cert": "ssl_cert",
    "ca": "ssl_ca",
    "capath": "ssl_capath",
    "cipher": "ssl_cipher",
    "verify_server_cert": "ssl_check_hostname",
}


def of_file(path: str | Path) -> URL:
    """URL of an SQLite file."""
    return URL.create("sqlite", database=str(path))


def of_text(text: str) -> URL:
    """URL that an administrator wrote.

    Raises:
      SettingsError: It is not a valid URL.
    """
    try:
        return make_url(text)
    except (ArgumentError, ValueError):  # their messages show the text, which may hold a password
        raise SettingsError(
            f"The store's address is not a valid SQLAlchemy URL; it looks like {_EXAMPLES}."
        ) from None


def in_airflow(mlmd: str, connection_name: str, home: str, find: Callable[[str], Any]) -> URL:
    """URL of the store of an Airflow deployment.

    Args:
      mlmd: [mlmd_panel] mlmd, or "".
      connection_name: Name of the Connection of the settings, or "".
      home: [tfx_airflow] home, for the embedded store that is used if neither is given.
      find: Returns the Connection of a name; None if there is none, or it cannot be read.

    Raises:
      SettingsError: The setting or the Connection is not a store's address, or the Connection cannot be read.
    """
    if mlmd:
        return of_text(mlmd)
    connection = find(connection_name or FORMER_CONNECTION)
    if connection_name and connection is None:
        raise SettingsError(
            f"Connection {connection_name!r} of the ML Metadata store does not exist or cannot be read. "
            "Ask an Airflow administrator to create or fix it."
        )
    if connection_name:
        return of_connection(connection)
    if connection is not None:
        raise SettingsError(
            f"Connection {FORMER_CONNECTION!r} exists, but no setting names it. Ask an Airflow administrator to "
            f"set [tfx_airflow] mlmd_conn_id = {FORMER_CONNECTION}, or to delete the Connection."
        )
    return of_file(Path(home) / SQLITE_FILE)


def of_connection(connection: Any) -> URL:
    """URL of an Airflow Connection, interpreted as the orchestrator does.

    Args:
      connection: With Airflow's attributes conn_id, conn_type, host, port, schema, login, password, extra_dejson.

    Raises:
      SettingsError: Its type or fields are not those of a store.
    """
    name = connection.conn_id
    kind = CONNECTION_KINDS.get((connection.conn_type or "").lower())
    if kind is None:
        raise SettingsError(
            f"Connection {name!r} has type {connection.conn_type!r}; it must be mysql, postgres or sqlite."
        )
    if kind == "sqlite":
        path = connection.host or connection.schema
        if not path:
            raise SettingsError(
                f"Connection {name!r} has no file path; write it as sqlite:////absolute/path/metadata.db."
            )
        return of_file(path)
    for field, meaning in (("host", "the database server"), ("schema", "the name of the database")):
        if not getattr(connection, field):
            raise SettingsError(f"Connection {name!r} ({kind}) has no {field}; set it to {meaning}.")
    extra = connection.extra_dejson
    query = {
        _PYMYSQL.get(name, name): str(extra[name]).lower()
        if isinstance(extra[name], bool)
        else str(extra[name])
        for name in SSL_FIELDS[kind]
        if name in extra
    }
    if kind == "mysql" and query:
        # MLMD verifies the server's name in its certificate only if asked to; the driver does unless asked not to.
        query.setdefault("ssl_check_hostname", "false")
    return URL.create(
        kind,
        username=connection.login or None,
        password=connection.password or None,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query=query,
    )
