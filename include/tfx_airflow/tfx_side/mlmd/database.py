"""Asks the MySQL or PostgreSQL server of an MLMD store what ml_metadata cannot.

ml_metadata can create a schema (on MySQL the database too) or refuse another version; when it cannot connect,
its error is empty, and it has neither locks nor conditional updates. The drivers are pure Python; a connection
is opened and closed in milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
import time
from collections.abc import Sequence
from typing import Any

from include.tfx_airflow.contract.errors import MlmdError, MlmdSchemaError

_SECONDS = 10.0  # for the connection, and for each answer
_NO_TABLE = (1146, "42P01")
# MySQL has two: no such database, or none that this user may see.
_NO_DATABASE = (1049, 1044, "3D000")
# For the transaction that holds a lock; the second setting is new in PostgreSQL 17.
_NO_LIMITS = (
    "select set_config(name, '0', true) from pg_settings"
    " where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')"
)


class _Held(Exception):
    """Another connection holds the lock."""


def describe(address: dict[str, Any]) -> str:
    """The address as text, without the password."""
    if address["kind"] == "sqlite":
        return f"sqlite:///{address['path']}"
    port = f":{address['port']}" if address.get("port") else ""
    return f"{address['kind']}://{address['user']}@{address['host']}{port}/{address['database']}"


def unusable(address: dict[str, Any], error: Exception | str) -> MlmdError:
    """The error for a store that cannot be used; without the password, in case the server repeats it."""
    text = " ".join(str(error).split())
    for secret in (address.get("password"), address.get("ssl", {}).get("sslpassword")):
        if secret:
            text = text.replace(secret, "***")
    return MlmdError(f"{describe(address)} cannot be used: {text}")


class Server:
    """A short connection to the server of an address; a context manager.

    Raises, from every method:
      MlmdSchemaError: There is no such database.
      MlmdError: The server cannot be reached, or refuses the user.
    """

    def __init__(self, address: dict[str, Any]):
        self._address = address
        self._is_mysql = address["kind"] == "mysql"

    def __enter__(self) -> Server:
        try:
            self._connection = _mysql(self._address) if self._is_mysql else _postgresql(self._address)
        # TLS files that cannot be read are OSErrors, a login that needs a missing package a RuntimeError.
        except Exception as error:
            raise self._mlmd_error(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):  # the server may have gone
            self._connection.close()

    def versions(self) -> list[int]:
        """Schema versions in MLMD's table; empty without that table."""
        try:
            found = [row[0] for row in self._rows("select schema_version from MLMDEnv")]
        except Exception as error:
            if _code(error) not in _NO_TABLE:
                raise self._mlmd_error(error) from None
            found = []
        with contextlib.suppress(Exception):
            self._connection.rollback()  # a failed query ends the transaction on PostgreSQL
        return found

    def rows(self, sql: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        """Rows of a query, whose places for arguments are `%s`."""
        try:
            return self._rows(sql, arguments)
        except Exception as error:
            raise self._mlmd_error(error) from None

    def wait_for_lock(self, name: str, seconds: float) -> None:
        """Takes a lock of this store; the end of this connection releases it, even if the process dies.

        On PostgreSQL it belongs to the transaction, because poolers share sessions; on MySQL to the session. The
        server's own limits for idle connections are lifted for this one.

        Args:
          name: What is locked.
          seconds: How long to wait for another program that holds it.

        Raises:
          MlmdError: Another program kept it for longer.
        """
        try:
            self._rows("set session wait_timeout = 28800" if self._is_mysql else _NO_LIMITS)
            deadline = time.monotonic() + seconds
            while not self._take_lock(name):
                if time.monotonic() > deadline:
                    raise _Held
                time.sleep(0.05)
        except _Held:
            raise MlmdError(
                f"{describe(self._address)}: another program has held the lock {name!r} for {seconds:.0f} s; "
                "nothing was written. Try again; if this persists, end the program that "
                f"{'information_schema.processlist' if self._is_mysql else 'pg_locks'} shows."
            ) from None
        except Exception as error:
            raise self._mlmd_error(error) from None

    def _take_lock(self, name: str) -> bool:
        digest = hashlib.sha256(f"{self._address['database']} {name}".encode())
        if self._is_mysql:  # where locks have names, for the whole server
            self._lock = f"tfx_airflow {digest.hexdigest()[:32]}"
            return bool(self._rows("select get_lock(%s, 0)", (self._lock,))[0][0])
        number = int.from_bytes(
            digest.digest()[:8], "big", signed=True
        )  # where they are numbers in a database
        return bool(self._rows("select pg_try_advisory_xact_lock(%s)", (number,))[0][0])

    def has_lock(self) -> bool:
        """Whether this connection still holds the lock that it took: it may have been lost meanwhile."""
        try:
            if self._is_mysql:
                return bool(self._rows("select is_used_lock(%s) = connection_id()", (self._lock,))[0][0])
            return bool(self._rows("select 1"))  # in the same transaction
        except Exception:
            return False

    def fail_executions(self, ids: Sequence[int]) -> list[int]:
        """Marks the given executions that are NEW or RUNNING as FAILED, in one step.

        ml_metadata can only read a state and then write another: in between, the server could still publish what
        a dying process has sent. Here the server waits for that first.

        Args:
          ids: Ids of executions.

        Returns:
          Ids of those that were marked.
        """
        if not ids:
            return []
        unfinished = f"id in ({', '.join(['%s'] * len(ids))}) and last_known_state in (1, 2)"
        try:
            found = sorted(
                row[0]
                for row in self._rows(f"select id from Execution where {unfinished} for update", tuple(ids))
            )
            self._run(f"update Execution set last_known_state = 4 where {unfinished}", tuple(ids))
            self._connection.commit()
            return found
        except Exception as error:
            raise self._mlmd_error(error) from None

    def mark_unused(self, ids: Sequence[int], now: int) -> None:
        """Marks artifacts for deletion, in one step, unless an execution that has not ended uses them.

        Args:
          ids: Of artifacts.
          now: Milliseconds since the epoch.
        """
        unused = (
            f"id in ({', '.join(['%s'] * len(ids))}) and state in (1, 2, 5) and not exists (select 1 from Event e"
            " join Execution x on x.id = e.execution_id and x.last_known_state in (1, 2)"
            " where e.artifact_id = Artifact.id)"
        )
        try:
            self._run(
                f"update Artifact set state = 3, last_update_time_since_epoch = %s where {unused}",
                (now, *ids),
            )
            self._connection.commit()
        except Exception as error:
            raise self._mlmd_error(error) from None

    def _rows(self, sql: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        return list(self._run(sql, arguments).fetchall())

    def _run(self, sql: str, arguments: tuple[Any, ...] = ()) -> Any:
        cursor = self._connection.cursor()
        cursor.execute(sql, arguments)
        return cursor

    def _mlmd_error(self, error: Exception) -> MlmdError:
        if _code(error) not in _NO_DATABASE:
            reason = _reason(error)
            if type(error) is FileNotFoundError:  # which does not say the file
                reason += f": one of the files in {self._address['ssl']}"
            return unusable(
                self._address,
                f"{reason}. Make sure that it is running, and that the Airflow Connection is right.",
            )
        database, user = self._address["database"], self._address["user"]
        if self._is_mysql:
            sql = f"CREATE DATABASE `{database}`; GRANT ALL ON `{database}`.* TO '{user}'@'%';"
        else:
            sql = f'CREATE DATABASE "{database}" OWNER "{user}";'
        return MlmdSchemaError(
            f"{describe(self._address)}: there is no database {database!r}, or none that this user may use; "
            f"its administrator can create it: {sql}"
        )


def _mysql(address: dict[str, Any]) -> Any:
    import pymysql

    options = dict(address.get("ssl", {}))
    if "verify_server_cert" in options:
        options["check_hostname"] = is_true(options.pop("verify_server_cert"))
    elif options:
        options["check_hostname"] = False
    return pymysql.connect(
        host=address["host"],
        port=address.get("port") or 3306,
        user=address["user"],
        password=address["password"],
        database=address["database"],
        ssl=options or None,
        connect_timeout=_SECONDS,
        read_timeout=_SECONDS,
        write_timeout=_SECONDS,
    )


def _postgresql(address: dict[str, Any]) -> Any:
    from pg8000 import dbapi

    return dbapi.connect(
        host=address["host"],
        port=address.get("port") or 5432,
        user=address["user"],
        password=address["password"],
        database=address["database"],
        ssl_context=tls(address.get("ssl", {})),
        timeout=_SECONDS,
    )


def tls(options: dict[str, Any]) -> ssl.SSLContext | bool | None:
    """TLS settings as libpq understands these options; None tries TLS and falls back to none."""
    mode = options.get("sslmode", "prefer")
    if mode in ("disable", "allow"):
        return False
    if mode == "prefer":
        return None
    context = ssl.create_default_context(cafile=options.get("sslrootcert"))
    context.check_hostname = mode == "verify-full"
    if mode == "require" and not options.get("sslrootcert"):
        context.verify_mode = ssl.CERT_NONE
    if options.get("sslcert"):
        context.load_cert_chain(options["sslcert"], options.get("sslkey"), options.get("sslpassword"))
    return context


def is_true(value: object) -> bool:
    """The value of a boolean option, which is text if the Connection is given as a URI."""
    return value.lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


def _code(error: Exception) -> object:
    first = error.args[0] if error.args else None
    return first.get("C") if isinstance(first, dict) else first


def _reason(error: Exception) -> str:
    """The text of a driver's error: MySQL's is (number, text), PostgreSQL's a dict or caused by a socket error."""
    first = error.args[0] if error.args else ""
    text = first.get("M") if isinstance(first, dict) else error.args[-1] if error.args else ""
    if error.__cause__ is not None:
        text = str(error.__cause__)
    return str(text or type(error).__name__).strip().rstrip(".")
