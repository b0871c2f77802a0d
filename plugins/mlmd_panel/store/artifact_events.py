"""Reads which executions produced an artifact, used it, or took it from the cache."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa

from mlmd_panel.store.properties import chunks
from mlmd_panel.store.records import ArtifactEvents
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import OUTPUTS, Tables

# First executions with the artifact as output that are always shown; the rest are its newest events.
_FIRST = 10
_AT_ONCE = 100


def first_or_newest(
    connection: sa.engine.Connection,
    tables: Tables,
    artifacts: Collection[int],
    count: int,
    kinds: Collection[int] = (),
    newest: bool = False,
) -> Iterator[tuple[int, int]]:
    """The first or the newest events of each artifact, without reading all of its events.

    Args:
      connection: To the store.
      tables: Its tables.
      artifacts: Ids.
      count: How many events of each.
      kinds: Numbers of the kinds of events; all when empty.
      newest: Start from the highest execution id, not from the lowest.

    Yields:
      Pairs of artifact and execution ids, for each artifact in the order of execution ids.
    """
    event = connection.dialect.identifier_preparer.format_table(tables.event)
    of_kinds = f" and type in ({', '.join(map(str, map(int, kinds)))})" if kinds else ""
    end = f"{of_kinds} order by execution_id{' desc' if newest else ''} limit {int(count)}"
    for some in chunks(map(int, artifacts), _AT_ONCE):
        # Plain SQL, as building it with SQLAlchemy takes ten times as long as running it. All values are numbers.
        parts = (
            f"select * from (select artifact_id, execution_id from {event} where artifact_id = {id_}{end}) e{id_}"
            for id_ in some
        )
        yield from connection.exec_driver_sql(" union all ".join(parts))


def of_artifact(rows: Rows, id_: int, dags: frozenset[str] | None, limit: int) -> ArtifactEvents:
    """Events of an artifact that the user may see; see `Store.events_of_artifact`."""
    event = rows.tables.event
    of = sa.select(event).where(event.c.artifact_id == id_)
    first = of.where(event.c.type.in_(OUTPUTS)).order_by(event.c.execution_id).limit(_FIRST)
    newest = rows.events(of.order_by(event.c.execution_id.desc()).limit(limit + 1))
    cut = len(newest) > limit
    events = dict.fromkeys(rows.events(first)) if cut else {}
    events.update(dict.fromkeys(newest[:limit]))
    seen = {e.execution_id for e in events if rows.index.visible(e.execution_id, dags)}
    makers = sorted({e.execution_id for e in events if e.is_output} & seen)[:_FIRST]
    made = rows.executions(seen, tasks_of=makers)
    shown = [(e, made[e.execution_id]) for e in events if e.execution_id in made]
    shown.sort(key=lambda pair: (pair[0].execution_id, pair[0].kind))
    return ArtifactEvents(tuple(shown), cut, len(seen) < len({e.execution_id for e in events}))
