"""Reads an artifact's lineage: what it was made from, and what was made from it."""

from __future__ import annotations

import sqlalchemy as sa

from mlmd_panel.store import artifact_events
from mlmd_panel.store.properties import chunks
from mlmd_panel.store.records import Event, Execution, Lineage
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import INPUTS, OUTPUTS

# Only the newest users of an artifact are followed: every run may have read the same schema.
_USERS = 40
_AT_ONCE = 50


class Walk:
    """Walks from an artifact to executions and on to their artifacts, one generation at a time.

    A Resolver's choices are not edges, as it produces nothing. Hidden executions end the walk.
    """

    def __init__(self, rows: Rows, dags: frozenset[str] | None, limit: int):
        """Args:
        limit: Maximum number of artifacts and executions together.
        """
        self._rows, self._dags, self._limit = rows, dags, limit
        self._artifacts: set[int] = set()
        self._executions: set[int] = set()
        self._cut = False

    def around(self, artifact: int, up: int, down: int) -> Lineage:
        """The graph up to these numbers of generations.

        Args:
          artifact: Its id; the user may see it.
        """
        self._artifacts.add(artifact)
        for depth, makers in ((up, True), (down, False)):
            border = {artifact}
            for _ in range(depth):
                border = self._next(border, makers)
            self._cut |= not self._users_or_makers(border, makers) <= self._executions
        return self._lineage()

    def _next(self, artifacts: set[int], makers: bool) -> set[int]:
        """The artifacts of the next generation that are new."""
        executions = self._users_or_makers(artifacts, makers) - self._executions
        seen = {id_ for id_ in self._fitting(executions) if self._rows.index.visible(id_, self._dags)}
        event = self._rows.tables.event
        kinds = INPUTS if makers else OUTPUTS
        found: set[int] = set()
        for chunk in chunks(seen, _AT_ONCE):
            query = sa.select(event.c.artifact_id).where(
                event.c.execution_id.in_(chunk), event.c.type.in_(kinds)
            )
            found.update(row[0] for row in self._rows.connection.execute(query.limit(self._limit * 10)))
        room = self._limit - len(self._artifacts) - len(self._executions)
        new = sorted(found - self._artifacts, reverse=True)
        self._cut |= len(new) > room
        kept = set(new[: max(room, 0)])
        self._artifacts |= kept
        return kept

    def _fitting(self, executions: set[int]) -> set[int]:
        """Adds the newest executions, as many as there is room for, and returns them."""
        room = self._limit - len(self._artifacts) - len(self._executions)
        self._cut |= len(executions) > room
        kept = set(sorted(executions, reverse=True)[: max(room, 0)])
        self._executions |= kept
        return kept

    def _users_or_makers(self, artifacts: set[int], makers: bool) -> set[int]:
        """Executions that made artifacts, or that used them."""
        # The first execution made it; others, if any, took it from the cache.
        count, kinds = (1, OUTPUTS) if makers else (_USERS, INPUTS)
        found: dict[int, list[int]] = {}
        for artifact, execution in artifact_events.first_or_newest(
            self._rows.connection,
            self._rows.tables,
            artifacts,
            count if makers else count + 1,
            kinds,
            newest=not makers,
        ):
            found.setdefault(artifact, []).append(execution)
        self._cut |= any(len(some) > count for some in found.values())
        return {id_ for some in found.values() for id_ in sorted(some, reverse=True)[:count]}

    def _lineage(self) -> Lineage:
        rows = self._rows
        executions = rows.executions(self._executions)
        masked = {
            id_: execution if rows.index.visible(id_, self._dags) else _hidden(execution)
            for id_, execution in executions.items()
        }
        event, events = rows.tables.event, []
        for chunk in chunks(self._executions, _AT_ONCE):
            query = sa.select(event).where(
                event.c.execution_id.in_(chunk), event.c.type.in_(INPUTS + OUTPUTS)
            )
            events += rows.events(query.where(event.c.artifact_id.in_(sorted(self._artifacts))))
        return Lineage(masked, rows.artifacts(self._artifacts), tuple(sorted(events, key=_edge)), self._cut)


def _edge(event: Event) -> tuple[int, int, str]:
    return event.execution_id, event.artifact_id, event.kind


def _hidden(execution: Execution) -> Execution:
    return Execution(execution.id, "", "", "UNKNOWN", 0, 0, None, None, hidden=True)
