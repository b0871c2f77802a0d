"""Turns database errors into messages for users; details go to the log."""

from __future__ import annotations

import logging
import os

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from mlmd_panel.errors import StoreEmpty, StoreError
from mlmd_panel.store.mlmd_facts import SCHEMA_VERSION
from mlmd_panel.store.tables import Tables

log = logging.getLogger(__name__)

_NO_TABLES = ("no such table", "doesn't exist", 'relation "')
_EMPTY = (
    "The store has no ML Metadata schema yet. In an SQLite store the first node creates it; on a server, "
    "`python -m include.tfx_airflow mlmd init` does."
)
_SENTENCES = (
    (
        ("database is locked", "database table is locked", "lock wait timeout"),
        "The store is locked by a writer; reload the page in a moment.",
    ),
    (
        ("unable to open database", "disk i/o error"),
        "The store's file cannot be opened; check its permissions and those of its folder.",
    ),
    (
        ("not a database", "malformed"),
        "The store's file is not an SQLite database, or is damaged.",
    ),
    (
        ("readonly database", "read-only"),
        "An interrupted write must be rolled back, but the panel may not write to the store's file or its folder: "
        "allow it to, or run a node.",
    ),
    (
        ("access denied", "authentication failed", "permission denied", "denied to user"),
        "The store's server rejected the user name or password, or the user may not read the tables.",
    ),
    (
        (
            "statement timeout",
            "max_statement_time",
            "maximum statement execution time",
            "read timeout",
            "timed out",
        ),
        "The store's server took too long to answer.",
    ),
    (
        ("unknown database", 'database "', 'role "'),
        "The store's server has no such database or user; check the store's address.",
    ),
    (("queuepool limit",), "Too many pages are being loaded at once; reload the page in a moment."),
)
_OTHERWISE = "The store's server cannot be reached, or failed; see the web server's log."


def to_store_error(engine: Engine, error: SQLAlchemyError) -> StoreError:
    """The error to show; logs the driver's message without the password."""
    said = str(getattr(error, "orig", None) or error)
    if engine.url.password:
        said = said.replace(str(engine.url.password), "***")
    log.warning("MLMD store %s: %s: %s", _where(engine), type(error).__name__, said)
    missing = file_missing(engine)
    if missing:
        return missing
    low = said.lower()
    if any(word in low for word in _NO_TABLES):
        return StoreEmpty(_EMPTY)
    for words, sentence in _SENTENCES:
        if any(word in low for word in words):
            return StoreError(sentence)
    return StoreError(_OTHERWISE)


def file_missing(engine: Engine) -> StoreEmpty | None:
    """An error if the store is a file that does not exist."""
    path = engine.get_execution_options().get("mlmd_path")
    if path and not os.path.exists(path):
        return StoreEmpty("The store's file does not exist yet; the first node creates it.")
    return None


def check_version(connection: sa.engine.Connection, tables: Tables) -> None:
    """Rejects a store whose schema version the panel does not read.

    Raises:
      StoreError: It has another version, several, or none.
    """
    rows = connection.execute(sa.select(tables.version.c.schema_version)).all()
    versions = sorted(row[0] for row in rows)
    if versions == [SCHEMA_VERSION]:
        return
    if not versions:
        raise StoreError("The store has no schema version: its table MLMDEnv is empty.")
    if len(versions) > 1:
        raise StoreError(
            f"The store has {len(versions)} schema versions, {versions}, as when two programs create its schema at "
            "once. Keep one row of its table MLMDEnv."
        )
    raise StoreError(
        f"The store has ML Metadata schema version {versions[0]}; the panel reads version {SCHEMA_VERSION}."
    )


def _where(engine: Engine) -> str:
    path = engine.get_execution_options().get("mlmd_path")
    return f"sqlite:///{path}" if path else engine.url.render_as_string(hide_password=True)
