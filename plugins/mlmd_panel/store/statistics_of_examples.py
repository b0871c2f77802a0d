"""Finds the statistics that were computed of Examples, in whichever run."""

from __future__ import annotations

from collections.abc import Collection

from mlmd_panel.store import artifact_events
from mlmd_panel.store.records import Artifact, Event
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import INPUTS

# Statistics are among the first that is made of Examples; later runs train on them again and again.
_FIRST = 20


def of(rows: Rows, examples: Collection[int], dags: frozenset[str] | None) -> dict[int, tuple[Artifact, ...]]:
    """ExampleStatistics by the Examples they were computed of; see `Store.statistics_of`."""
    readers = artifact_events.first_or_newest(rows.connection, rows.tables, examples, _FIRST, INPUTS)
    seen = {execution for _, execution in readers if rows.index.visible(execution, dags)}
    events: dict[int, list[Event]] = {}
    for event in rows.events_of_executions(seen):
        events.setdefault(event.execution_id, []).append(event)
    types = {
        a.id: a.type
        for a in rows.artifacts({e.artifact_id for some in events.values() for e in some}).values()
    }
    found: dict[int, set[int]] = {}
    for some in events.values():
        read = {e.artifact_id for e in some if e.is_input and types.get(e.artifact_id) == "Examples"}
        made = {e.artifact_id for e in some if e.is_output}
        # Transform, too, may write statistics, of several Examples or of transformed ones.
        if len(read) == 1 and {types.get(id_) for id_ in made} == {"ExampleStatistics"}:
            found.setdefault(next(iter(read)), set()).update(made)
    artifacts = rows.artifacts({id_ for ids in found.values() for id_ in ids}, None)
    return {
        id_: tuple(artifacts[one] for one in sorted(ids) if one in artifacts) for id_, ids in found.items()
    }
