"""A MySQL or PostgreSQL server with an MLMD store, asked what ml_metadata does not tell.

ml_metadata can make a schema (on MySQL the database too) or refuse another version, and when it cannot
connect its error is empty. The drivers are pure Python; a connection is made and closed in milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from typing import Any

from include.tfx_airflow.errors import MlmdError, MlmdSchemaError

_SECONDS = 10.0  # for the connection, and for each answer
_NO_TABLE = (1146, "42P01")
# MySQL has two: no such database, or none that this user may see.
_NO_DATABASE = (1049, 1044, "3D000")


def describe(address: dict[str, Any]) -> str:
    """The address for people: without the password."""
    if address["kind"] == "sqlite":
        return f"sqlite:///{address['path']}"
    port = f":{address['port']}" if address.get("port") else ""
    return f"{address['kind']}://{address['user']}@{address['host']}{port}/{address['database']}"


def unusable(address: dict[str, Any], error: Exception | str) -> MlmdError:
    """The error for a store that cannot be used; without the password, should the server repeat it."""
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
            raise self._named(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):  # the server may have gone
            self._connection.close()

    def versions(self) -> list[int]:
        """What MLMD's table says of the schema's version; empty without that table."""
        try:
            found = [row[0] for row in self._rows("select schema_version from MLMDEnv")]
        except Exception as error:
            if _code(error) not in _NO_TABLE:
                raise self._named(error) from None
            found = []
        with contextlib.suppress(Exception):
            self._connection.rollback()  # a failed query ends the transaction on PostgreSQL
        return found

    def rows(self, sql: str) -> list[Any]:
        """Rows of a query."""
        try:
            return self._rows(sql)
        except Exception as error:
            raise self._named(error) from None

    def take_lock(self) -> bool:
        """Takes this store's lock unless another connection has it; the end of this one gives it back."""
        if self._is_mysql:  # where locks have names, for the whole server
            name = "tfx_airflow " + hashlib.sha256(self._address["database"].encode()).hexdigest()[:32]
            sql, arguments = "select get_lock(%s, 0)", (name,)
        else:  # where they are numbers in a database; the transaction's, for poolers that share sessions
            sql, arguments = "select pg_try_advisory_xact_lock(%s)", (0x7F8A1F10,)
        try:
            return bool(self._rows(sql, arguments)[0][0])
        except Exception as error:
            raise self._named(error) from None

    def _rows(self, sql: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        cursor = self._connection.cursor()
        cursor.execute(sql, arguments)
        return list(cursor.fetchall())

    def _named(self, error: Exception) -> MlmdError:
        if _code(error) not in _NO_DATABASE:
            reason = _reason(error)
            if type(error) is FileNotFoundError:  # which does not say the file
                reason += f" among the files of {self._address['ssl']}"
            return unusable(
                self._address, f"{reason}. See that it runs, and that the Airflow Connection is right."
            )
        database, user = self._address["database"], self._address["user"]
        if self._is_mysql:
            sql = f"CREATE DATABASE `{database}`; GRANT ALL ON `{database}`.* TO '{user}'@'%';"
        else:
            sql = f'CREATE DATABASE "{database}" OWNER "{user}";'
        return MlmdSchemaError(
            f"{describe(self._address)}: there is no database {database!r}, or not for this user; "
            f"its administrator makes it: {sql}"
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
    """What libpq makes of these options; None tries TLS and goes on without."""
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
    """Of an option that is a truth value; of a Connection given as a URI it is text."""
    return value.lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


def _code(error: Exception) -> object:
    first = error.args[0] if error.args else None
    return first.get("C") if isinstance(first, dict) else first


def _reason(error: Exception) -> str:
    """MySQL's errors are (number, text), PostgreSQL's a dict, or stand before what the socket said."""
    first = error.args[0] if error.args else ""
    text = first.get("M") if isinstance(first, dict) else error.args[-1] if error.args else ""
    if error.__cause__ is not None:
        text = str(error.__cause__)
    return str(text or type(error).__name__).strip().rstrip(".")
