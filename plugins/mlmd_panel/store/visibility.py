"""Which artifacts a user may see: those that a run of theirs made or used."""

from __future__ import annotations

from collections.abc import Collection

from mlmd_panel.store import artifact_events
from mlmd_panel.store.rows import Rows

# Events that are looked at from each end; the first made the artifact.
_LOOKED_AT = 10


def visible_artifacts(rows: Rows, ids: Collection[int], dags: frozenset[str] | None) -> set[int]:
    """Of these artifacts those that the user may see.

    The ten first and the ten last executions of each decide: an artifact may have as many events as there are runs.
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
