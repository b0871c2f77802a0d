"""Reads an MLMD store by SQL, where ml_metadata can only answer with a whole history.

The tables are those of schema version 10, the only one that `schema.check` lets a node use; ml_metadata has not changed
them since 1.11. `true` and `%s` are understood by all three databases, or replaced.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from include.tfx_airflow.tfx_side.mlmd.database import Server, unusable

_SQLITE_SECONDS = 60.0
# Without statistics SQLite guesses that a table has a million rows. Given 15,000 ids it then goes through the whole table, and
# for each row through the ids.
_IDS = 1_000


class Reader:
    """A connection that only reads; a context manager.

    Raises, from every method:
      MlmdError: The store cannot be reached.
    """

    def __init__(self, address: dict[str, Any]):
        """Does not connect yet.

        Args:
          address: As in a `NodeRequest`.
        """
        self._address = address
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Reader:
        if self._address["kind"] == "sqlite":
            # Not mode=ro: what a killed writer left must be rolled back. A missing file is not created.
            uri = Path(self._address["path"]).absolute().as_uri() + "?mode=rw"
            try:
                self._sqlite = self._open.enter_context(
                    contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_SQLITE_SECONDS))
                )
                self._sqlite.execute("pragma query_only = on")
            except sqlite3.Error as error:
                raise unusable(self._address, error) from None
        else:
            self._server = self._open.enter_context(Server(self._address))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def rows(self, sql: str, arguments: Sequence[int | str] = ()) -> list[Any]:
        """Rows of a query, whose places for arguments are `%s`."""
        if self._address["kind"] != "sqlite":
            return self._server.rows(sql, tuple(arguments))
        try:
            return self._sqlite.execute(sql.replace("%s", "?"), tuple(arguments)).fetchall()
        except sqlite3.Error as error:
            raise unusable(self._address, error) from None


def among(column: str, ids: Collection[int]) -> Iterator[str]:
    """Conditions that a column is one of the ids; several of them, for long lists."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _IDS):
        yield f"{column} in ({', '.join(str(int(id_)) for id_ in ordered[start : start + _IDS])})"
