"""What is wrong with a store, as a sentence for the page; the log gets the rest."""

from __future__ import annotations

import logging
import os

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from mlmd_panel.errors import StoreError
from mlmd_panel.store.mlmd_facts import SCHEMA_VERSION
from mlmd_panel.store.tables import Tables

log = logging.getLogger(__name__)

_SENTENCES = (
    (
        ("database is locked", "database table is locked", "lock wait timeout"),
        "A writer has locked the store; load the page again in a moment.",
    ),
    (
        ("no such table", "doesn't exist", "does not exist"),
        "The store has no schema of ML Metadata yet: no node has run. The first one makes it.",
    ),
    (
        ("unable to open database", "disk i/o error"),
        "The store's file cannot be opened; see its permissions and those of its folder.",
    ),
    (
        ("not a database", "malformed"),
        "The store's file is no SQLite database, or is damaged.",
    ),
    (
        ("readonly database", "read-only"),
        "A writer was killed, and what it left must be rolled back, but the file or its folder is read-only here: "
        "let this process write to them, or run one node.",
    ),
    (
        ("access denied", "authentication failed", "permission denied", "denied to user"),
        "The store's server refuses the user or the password, or the user may not read the tables.",
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
    (("queuepool limit",), "Too many pages are being made at once; load the page again in a moment."),
)
_OTHERWISE = "The store's server cannot be reached, or failed; the log of this web server says more."


def explained(engine: Engine, error: SQLAlchemyError) -> StoreError:
    """The error for a page; logs what the driver said, without the password."""
    said = str(getattr(error, "orig", None) or error)
    if engine.url.password:
        said = said.replace(str(engine.url.password), "***")
    log.warning("MLMD store %s: %s: %s", _where(engine), type(error).__name__, said)
    missing = file_missing(engine)
    if missing:
        return missing
    low = said.lower()
    for words, sentence in _SENTENCES:
        if any(word in low for word in words):
            return StoreError(sentence)
    return StoreError(_OTHERWISE)


def file_missing(engine: Engine) -> StoreError | None:
    """An error when the store is a file that is not there."""
    path = engine.get_execution_options().get("mlmd_path")
    if path and not os.path.exists(path):
        return StoreError("There is no store yet: its file is not there. The first node that runs makes it.")
    return None


def check_version(connection: sa.engine.Connection, tables: Tables) -> None:
    """Refuses a store that is not of the one schema version that is read here.

    Raises:
      StoreError: It has another version, two, or says none.
    """
    rows = connection.execute(sa.select(tables.version.c.schema_version)).all()
    versions = sorted(row[0] for row in rows)
    if versions == [SCHEMA_VERSION]:
        return
    if not versions:
        raise StoreError("The store does not say its schema version: its table MLMDEnv is empty.")
    if len(versions) > 1:
        raise StoreError(
            f"The store says {len(versions)} schema versions, {versions}: two programs made its schema at once. "
            "Leave one row in its table MLMDEnv."
        )
    raise StoreError(
        f"The store has schema version {versions[0]} of ML Metadata, and the panel reads version {SCHEMA_VERSION}."
    )


def _where(engine: Engine) -> str:
    path = engine.get_execution_options().get("mlmd_path")
    return f"sqlite:///{path}" if path else engine.url.render_as_string(hide_password=True)
