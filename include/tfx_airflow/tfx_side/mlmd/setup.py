"""`python -m include.tfx_airflow.tfx_side.mlmd.setup init|status`: creates the schema of the MLMD store, or shows its state.

Reads the store's address from standard input, because it may contain a password.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from include.tfx_airflow.contract.errors import MlmdError
from include.tfx_airflow.contract.mlmd_facts import SCHEMA_VERSION
from include.tfx_airflow.tfx_side.mlmd import mlmd_store, schema
from include.tfx_airflow.tfx_side.mlmd.database import Server, describe
from include.tfx_airflow.tfx_side.mlmd.lock import StoreLock

_CONTEXTS = "select count(*) from Context c join Type t on t.id = c.type_id where t.name = "
_COUNTS = {
    "pipelines": _CONTEXTS + "'pipeline'",
    "runs": _CONTEXTS + "'pipeline_run'",
    "executions": "select count(*) from Execution",
    "artifacts": "select count(*) from Artifact",
}


def init(address: dict[str, Any]) -> str:
    """Creates the schema if there is none, and reports the state.

    Raises:
      MlmdError: As `schema.check`, but a store without a schema is no error.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(StoreLock(address))
        if address["kind"] != "sqlite":
            stack.enter_context(Server(address)).wait_for_lock(schema.TYPES_LOCK, schema.LOCK_SECONDS)
        found = schema.version(address)
        if found is None:
            mlmd_store.connect(address)
    schema.check(address)
    if found is None:
        return f"{describe(address)}: created MLMD schema version {SCHEMA_VERSION}."
    return f"{describe(address)}: has MLMD schema version {found} already; nothing was changed."


def status(address: dict[str, Any]) -> str:
    """Reports what is in the store.

    Raises:
      MlmdError: It cannot be used; a SQLite file that does not exist yet is no error.
    """
    if address["kind"] == "sqlite" and schema.version(address) is None:
        return f"{describe(address)}: does not exist yet; the first node or '{schema.INIT}' creates it"
    with mlmd_store.open_store(address):
        pass
    if address["kind"] == "sqlite":
        answers = schema.sqlite_rows(address, list(_COUNTS.values()))
    else:
        with Server(address) as server:
            answers = [server.rows(query) for query in _COUNTS.values()]
    counts = ", ".join(f"{rows[0][0]} {what}" for what, rows in zip(_COUNTS, answers, strict=True))
    return f"{describe(address)}: MLMD schema version {SCHEMA_VERSION}; {counts}"


def main() -> int:
    """Runs `init` or `status` for the address from standard input; returns the exit code."""
    command = {"init": init, "status": status}[sys.argv[1]]
    try:
        print(command(json.load(sys.stdin)))
    except MlmdError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
