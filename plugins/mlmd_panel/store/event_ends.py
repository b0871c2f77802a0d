"""The first or the newest events of each of many artifacts, however many events one of them has."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa

from mlmd_panel.store.properties import chunks
from mlmd_panel.store.tables import Tables

_AT_ONCE = 100


def of(
    connection: sa.engine.Connection,
    tables: Tables,
    artifacts: Collection[int],
    count: int,
    kinds: Collection[int] = (),
    newest: bool = False,
) -> Iterator[tuple[int, int]]:
    """Pairs of artifact and execution; of each artifact as many as `count`, by the execution's id.

    Args:
      kinds: Numbers of the kinds of events; all when empty.
      newest: From the highest execution id on, and not from the lowest.
    """
    event = connection.dialect.identifier_preparer.format_table(tables.event)
    of_kinds = f" and type in ({', '.join(map(str, map(int, kinds)))})" if kinds else ""
    end = f"{of_kinds} order by execution_id{' desc' if newest else ''} limit {int(count)}"
    for some in chunks(map(int, artifacts), _AT_ONCE):
        # Written out, for building it of SQLAlchemy's parts takes ten times as long as the answer. All are numbers.
        parts = (
            f"select * from (select artifact_id, execution_id from {event} where artifact_id = {id_}{end}) e{id_}"
            for id_ in some
        )
        yield from connection.exec_driver_sql(" union all ".join(parts))
