"""Opens the ML Metadata store for nodes: by address, under its lock, never migrating it.

Imports ml_metadata only: the process that cleans up after a killed node must start in a second.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.contract import identity, mlmd_facts
from include.tfx_airflow.contract.errors import MlmdError
from include.tfx_airflow.tfx_side.mlmd import schema
from include.tfx_airflow.tfx_side.mlmd.database import is_true, unusable
from include.tfx_airflow.tfx_side.mlmd.lock import StoreLock
from include.tfx_airflow.tfx_side.mlmd.metadata_store import UNFINISHED, MetadataStore
from include.tfx_airflow.tfx_side.mlmd.postgresql import PostgresqlStore

_ATTEMPTS = 8
# In a RuntimeError of MetadataStore(): another writer interfered.
_CONTENTION = ("concurrent writes", "deadlock", "locked")
_REFUSED_BY_MYSQL = (
    "the server accepts a driver but not ml_metadata, whose MySQL client can log in only with "
    "mysql_native_password, and has its own rules for a server's certificate (verify_server_cert)."
)
_Result = TypeVar("_Result")


def connection_config(address: dict[str, Any]) -> metadata_store_pb2.ConnectionConfig:
    """The address of a `NodeRequest` as MLMD's own proto.

    Args:
      address: `kind` (sqlite, mysql, postgresql), and `path` or host, port, database, user, password.
    """
    config = metadata_store_pb2.ConnectionConfig()
    if address["kind"] == "sqlite":
        os.makedirs(os.path.dirname(address["path"]) or ".", exist_ok=True)
        config.sqlite.filename_uri = address["path"]
        config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return config
    if address["kind"] == "mysql":
        server: Any = config.mysql
        server.database = address["database"]
    else:
        server = config.postgresql
        server.dbname = address["database"]
    server.host, server.user, server.password = address["host"], address["user"], address["password"]
    port = address.get("port") or (3306 if address["kind"] == "mysql" else 5432)
    # MySQL's port is a number in MLMD's proto, PostgreSQL's a string.
    server.port = port if address["kind"] == "mysql" else str(port)
    ssl = server.ssl_options if address["kind"] == "mysql" else server.ssloption
    for key, value in address.get("ssl", {}).items():
        if isinstance(getattr(ssl, key), bool):
            value = is_true(value)
        setattr(ssl, key, value)
    return config


def retried(action: Callable[[], _Result]) -> _Result:
    """Runs an idempotent MLMD action, and again if another writer interfered.

    Two nodes that start together both create the types and contexts of their run; the loser gets
    AlreadyExists or Aborted, and finds them on the next try.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return action()
        except (errors.AlreadyExistsError, errors.AbortedError):
            if attempt == _ATTEMPTS - 1:
                raise
            _pause(attempt)
    raise AssertionError("unreachable")


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0.05, 0.2) * 2**attempt)


def connect(address: dict[str, Any]) -> MetadataStore:
    """Opens a store that was checked (`schema.check`): if there is no schema, this creates one.

    Raises:
      MlmdError: It cannot be opened.
    """
    config = connection_config(address)
    kind = PostgresqlStore if address["kind"] == "postgresql" else MetadataStore
    for attempt in range(_ATTEMPTS):
        try:
            return retried(lambda: kind(config, address))
        except (RuntimeError, errors.StatusError) as error:
            contention = any(text in str(error).lower() for text in _CONTENTION)
            if attempt == _ATTEMPTS - 1 or (attempt and not contention):
                raise lost(address, error) from None
            if not contention:
                schema.check(address)  # raises with the reason; if the server is back, try again
            _pause(attempt)
    raise AssertionError("unreachable")


def lost(address: dict[str, Any], error: Exception) -> MlmdError:
    """The error for a store that failed in use, with the server's own reason, which ml_metadata omits."""
    try:
        schema.check(address)
    except MlmdError as reason:
        return reason
    if "mysql_real_connect" in str(error):
        return unusable(address, _REFUSED_BY_MYSQL)
    return unusable(address, error)


@contextlib.contextmanager
def open_store(address: dict[str, Any], node: str = "") -> Iterator[MetadataStore]:
    """Opens the store under its lock.

    Args:
      address: The store.
      node: As for `StoreLock`.

    Raises:
      MlmdError: It cannot be reached, or has another schema version (it is never migrated here).
    """
    with StoreLock(address, node):
        schema.check(address)
        yield connect(address)


def tries_of(store: MetadataStore, task: dict[str, Any]) -> list[metadata_store_pb2.Execution]:
    """Executions of a task instance, one for each try so far, oldest first.

    Args:
      task: dag_id, run_id, task_id and map_index, as in a `NodeRequest`.
    """
    # From a context of its own: those of node and run grow with every run and task.
    context = store.get_context_by_type_and_name(mlmd_facts.TRIES_CONTEXT, identity.tries_name(task))
    found = store.get_executions_by_context(context.id) if context else []
    return sorted(found, key=lambda execution: execution.id)


def fail_unfinished(store: MetadataStore, task: dict[str, Any], reason: str) -> list[int]:
    """Marks as FAILED the tries of a task instance that a dead process left NEW or RUNNING.

    Args:
      task: As for `tries_of`.
      reason: Stored beside the state, for people.

    Returns:
      Ids of the executions that were marked.
    """
    unfinished = [e.id for e in tries_of(store, task) if e.last_known_state in UNFINISHED]
    return store.fail_executions(unfinished, reason)
