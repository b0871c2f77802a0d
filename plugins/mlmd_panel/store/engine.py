"""Opens the store's database so that nothing can be written to it, and nothing waits for long."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from mlmd_panel.errors import SettingsError

_DRIVERS = {"sqlite": "sqlite", "mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg2"}
_FORMS = (
    "sqlite:////folder/metadata.db, mysql+pymysql://user:password@host/database or "
    "postgresql+psycopg2://user:password@host/database"
)
_LOCK_SECONDS = 2.0
_CONNECT_SECONDS = 5
_QUERY_SECONDS = 20
_POOL = {
    "future": True,
    "pool_size": 4,
    "max_overflow": 8,
    "pool_timeout": 10,
    "pool_recycle": 900,
    "pool_pre_ping": True,
}


def make_engine(url: str | URL, connect_args: dict[str, Any] | None = None) -> Engine:
    """An Engine that only reads. Connects to nothing yet.

    Args:
      url: sqlite:///<path>, or an address of MySQL, MariaDB or PostgreSQL.
      connect_args: What the driver needs besides, such as TLS files.

    Raises:
      SettingsError: The address is of another kind; the message does not repeat it, there may be a password in it.
    """
    try:
        url = make_url(url)
    except ArgumentError:
        raise SettingsError(
            f"The store's address is no address of a database; it looks like {_FORMS}."
        ) from None
    kind = {"mariadb": "mysql", "postgres": "postgresql"}.get(url.get_backend_name(), url.get_backend_name())
    if kind not in _DRIVERS:
        raise SettingsError(f"A store of kind {kind!r} cannot be read; the address looks like {_FORMS}.")
    if kind == "sqlite":
        return _sqlite(url)
    try:
        url = url.set(drivername=_DRIVERS[kind])
        return _mysql(url, connect_args or {}) if kind == "mysql" else _postgresql(url, connect_args or {})
    except ImportError as error:
        raise SettingsError(
            f"A store on {kind} needs the Python package {error.name!r}, which is not installed here."
        ) from None


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise SettingsError("The store's address names no file; it looks like sqlite:////folder/metadata.db.")
    path = Path(url.database).absolute()

    def connect() -> sqlite3.Connection:
        # Not read-only where it can be helped: what a killed writer left must be rolled back before anybody can
        # read. No mode makes a file that is not there.
        writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        uri = f"{path.as_uri()}?mode={'rw' if writable else 'ro'}"
        connection = sqlite3.connect(uri, uri=True, timeout=_LOCK_SECONDS, check_same_thread=False)
        connection.execute("pragma query_only = on")
        return connection

    # No pool: opening is cheap, and a file that was replaced is seen.
    options = {"mlmd_path": str(path)}
    return sa.create_engine(
        "sqlite://", creator=connect, poolclass=NullPool, execution_options=options, future=True
    )


def _mysql(url: URL, connect_args: dict[str, Any]) -> Engine:
    arguments = {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _QUERY_SECONDS + 5,
        "charset": "utf8mb4",
        **connect_args,
    }
    engine = sa.create_engine(url, connect_args=arguments, **_POOL)

    @sa.event.listens_for(engine, "connect")
    def limit(connection: Any, _: object) -> None:
        with connection.cursor() as cursor:
            # The two have the same limit under two names, in seconds and in milliseconds.
            if "mariadb" in connection.get_server_info().lower():
                cursor.execute(f"set session max_statement_time = {_QUERY_SECONDS}")
            else:
                cursor.execute(f"set session max_execution_time = {_QUERY_SECONDS * 1000}")

    @sa.event.listens_for(engine, "begin")
    def read_only(connection: Any) -> None:
        connection.exec_driver_sql("start transaction read only")

    return engine


def _postgresql(url: URL, connect_args: dict[str, Any]) -> Engine:
    arguments = {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "mlmd_panel",
        # libpq waits for an answer as long as the connection lives: a machine that has gone is noticed.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 1000 * _QUERY_SECONDS,
        **connect_args,
    }
    engine = sa.create_engine(url, connect_args=arguments, **_POOL)

    # Per transaction and not per session: poolers such as PgBouncer share sessions.
    @sa.event.listens_for(engine, "begin")
    def read_only(connection: Any) -> None:
        connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
        connection.exec_driver_sql(f"set local statement_timeout = {_QUERY_SECONDS * 1000}")

    return engine
