"""Opens the store's database read-only and with short timeouts."""

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
# How long the writer of an SQLite store is waited for: by a page, and by a task or a command, whose answer is final.
PAGE_PATIENCE = 2.0
TASK_PATIENCE = 60.0
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


def make_engine(
    url: str | URL, connect_args: dict[str, Any] | None = None, patience: float = PAGE_PATIENCE
) -> Engine:
    """A read-only Engine, which does not connect yet.

    Args:
      url: sqlite:///<path>, or an address of MySQL, MariaDB or PostgreSQL.
      connect_args: Further arguments of the driver, such as TLS files.
      patience: Seconds to wait for a writer of an SQLite store.

    Raises:
      SettingsError: The address is not valid; the message does not repeat it, as it may contain a password.
    """
    try:
        url = make_url(url)
    except ArgumentError:
        raise SettingsError(
            f"The store's address is not a valid database URL; it looks like {_FORMS}."
        ) from None
    kind = {"mariadb": "mysql", "postgres": "postgresql"}.get(url.get_backend_name(), url.get_backend_name())
    if kind not in _DRIVERS:
        raise SettingsError(
            f"The panel cannot read a store of type {kind!r}; its address looks like {_FORMS}."
        )
    if kind == "sqlite":
        return _sqlite(url, patience)
    try:
        url = url.set(drivername=_DRIVERS[kind])
        return _mysql(url, connect_args or {}) if kind == "mysql" else _postgresql(url, connect_args or {})
    except ImportError as error:
        raise SettingsError(
            f"A {kind} store needs the Python package {error.name!r}: install it where the panel runs."
        ) from None


def _sqlite(url: URL, patience: float) -> Engine:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise SettingsError(
            "The store's address has no file path; it looks like sqlite:////folder/metadata.db."
        )
    path = Path(url.database).absolute()

    def connect() -> sqlite3.Connection:
        # Read-only only if it must be: what a killed writer left must be rolled back before anyone can read. Neither
        # mode creates a missing file.
        writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        uri = f"{path.as_uri()}?mode={'rw' if writable else 'ro'}"
        connection = sqlite3.connect(uri, uri=True, timeout=patience, check_same_thread=False)
        connection.execute("pragma query_only = on")
        return connection

    # No pool: opening is cheap, and a replaced file is noticed.
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
            # MariaDB's limit is in seconds, MySQL's in milliseconds.
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
        # libpq waits as long as the connection lives; keepalives notice a machine that is gone.
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
