"""Who made an artifact, used it, or took it from the cache."""

from __future__ import annotations

import sqlalchemy as sa

from mlmd_panel.store.records import ArtifactEvents
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import OUTPUTS

# First executions that had an artifact as output; the others are the newest of its events.
_FIRST = 10


def of(rows: Rows, id_: int, dags: frozenset[str] | None, limit: int) -> ArtifactEvents:
    """Of an artifact that the user may see, as `Store.events_of_artifact` gives them."""
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
