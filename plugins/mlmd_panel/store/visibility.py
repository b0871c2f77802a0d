"""Decides which artifacts a user may see: those that a run they may read produced or used."""

from __future__ import annotations

from collections.abc import Collection

from mlmd_panel.store import artifact_events
from mlmd_panel.store.rows import Rows

# Number of events to check at each end; the first execution produced the artifact.
_LOOKED_AT = 10


def visible_artifacts(rows: Rows, ids: Collection[int], dags: frozenset[str] | None) -> set[int]:
    """Those of the artifacts that the user may see.

    Only the first and last ten executions of each are checked, as an artifact may have an event for every run.
    """
    if dags is None:
        return set(ids)
    found: set[int] = set()
    for count, newest in ((1, False), (1, True), (_LOOKED_AT, False), (_LOOKED_AT, True)):
        left = [id_ for id_ in ids if id_ not in found]
        for artifact, execution in artifact_events.first_or_newest(
            rows.connection, rows.tables, left, count, newest=newest
        ):
            if rows.index.visible(execution, dags):
                found.add(artifact)
    return found
