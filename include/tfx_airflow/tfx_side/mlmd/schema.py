"""Checks the schema of the MLMD store, and never migrates it.

Tasks check before ml_metadata opens a store, because it would create a missing schema, and two processes that
do so at once break the store.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from include.tfx_airflow.contract.errors import MlmdSchemaError
from include.tfx_airflow.contract.mlmd_facts import SCHEMA_VERSION
from include.tfx_airflow.tfx_side.mlmd.database import Server, describe, unusable
from include.tfx_airflow.tfx_side.mlmd.reader import Reader

INIT = "python -m include.tfx_airflow mlmd init"
LOCK_SECONDS = 60.0
TYPES_LOCK = "types"
_VERSIONS = "select schema_version from MLMDEnv"


def version(address: dict[str, Any]) -> int | None:
    """The store's schema version; None when it has no MLMD schema, or is a file that does not exist.

    Raises:
      MlmdSchemaError: There is no such database, or it has more than one version.
      MlmdError: The store cannot be reached.
    """
    if address["kind"] == "sqlite":
        return _only_version(address, [row[0] for row in sqlite_rows(address, [_VERSIONS])[0]])
    with Server(address) as server:
        return _only_version(address, server.versions())


def check(address: dict[str, Any]) -> None:
    """Refuses a store that a task must not open.

    Raises:
      MlmdSchemaError: It has another schema version or, on a server, none.
      MlmdError: It cannot be reached.
    """
    _check(address, version(address))


@contextlib.contextmanager
def checked(address: dict[str, Any]) -> Iterator[None]:
    """`check`; on a server, then admits one task at a time while it registers types.

    MLMD's tables on PostgreSQL let two tasks register one type twice, and each then sees only some of its
    artifacts; on MySQL the tasks abort one another for seconds.

    Raises:
      MlmdSchemaError: As `check`.
      MlmdError: It cannot be reached, or another program registers types for too long. A retry may help.
    """
    if address["kind"] == "sqlite":
        check(address)
        yield
        return
    with Server(address) as server:
        _check(address, _only_version(address, server.versions()))
        server.wait_for_lock(TYPES_LOCK, LOCK_SECONDS)
        yield
        if not server.has_lock():
            raise unusable(address, "the connection that held the lock on its types was lost; try again")


def _check(address: dict[str, Any], found: int | None) -> None:
    if found == SCHEMA_VERSION or (found is None and address["kind"] == "sqlite"):
        return
    if found is None:
        raise MlmdSchemaError(f"{describe(address)} has no MLMD schema; run '{INIT}'.")
    cure = (
        "back it up and open it once with ml_metadata's MetadataStore(config, enable_upgrade_migration=True)"
        if found < SCHEMA_VERSION
        else "use the ml_metadata that made it"
    )
    raise MlmdSchemaError(
        f"{describe(address)} has MLMD schema version {found}, but this ml_metadata needs version {SCHEMA_VERSION}. "
        f"It is not migrated automatically: {cure}, or point the Airflow Connection to another store."
    )


def _only_version(address: dict[str, Any], versions: list[int]) -> int | None:
    if len(versions) > 1:
        raise MlmdSchemaError(
            f"{describe(address)} has {len(versions)} schema versions, {versions}, as after two programs created its "
            "schema at once; leave one row in its table MLMDEnv."
        )
    return versions[0] if versions else None


def sqlite_rows(address: dict[str, Any], queries: list[str]) -> list[list[Any]]:
    """Rows of each query; none if there is no file, or no schema in it.

    Raises:
      MlmdError: It is not a SQLite database, or cannot be read.
    """
    if not os.path.exists(address["path"]):
        return [[] for _ in queries]
    with Reader(address) as reader:
        if not reader.rows("select 1 from sqlite_master where name = 'MLMDEnv'"):
            return [[] for _ in queries]
        return [reader.rows(query) for query in queries]
