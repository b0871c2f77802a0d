"""Makes artifacts, executions and events from the store's rows."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from mlmd_panel.store import display_names, properties, task_instances
from mlmd_panel.store.properties import chunks
from mlmd_panel.store.records import ARTIFACT_STATES, EXECUTION_STATES, Artifact, Event, Execution, Run, Task
from mlmd_panel.store.run_index import OLD_RUN, RUN, RunIndex
from mlmd_panel.store.tables import ARTIFACT_KIND, EVENT_KINDS, EXECUTION_KIND, Tables, plain
from mlmd_panel.store.text_encoding import Letters

_MOST_NAMED = 1000


class Rows:
    """Reads rows over one connection, with the index at that time."""

    def __init__(self, connection: sa.engine.Connection, index: RunIndex, tables: Tables, letters: Letters):
        self.connection, self.index, self.tables, self.letters = connection, index, tables, letters
        self._types: dict[int, tuple[int, str]] | None = None
        self._named: dict[str, bool] = {}

    def type_names(self, kind: int) -> dict[int, str]:
        """Type names of a kind by id; versions of a type have the same name."""
        if self._types is None:
            type_ = self.tables.type
            rows = self.connection.execute(sa.select(type_.c.id, type_.c.type_kind, type_.c.name))
            self._types = {row[0]: (row[1], self.letters.read(row[2])) for row in rows}
        return {id_: name for id_, (of, name) in self._types.items() if of == kind}

    def used_types(self, table: sa.Table, kind: int) -> list[str]:
        """Type names of a kind that occur in the table."""
        names: set[str] = set()
        for id_, name in self.type_names(kind).items():
            query = sa.select(table.c.type_id).where(table.c.type_id == id_).limit(1)
            if name not in names and self.connection.execute(query).first():
                names.add(name)
        return sorted(names)

    def have_display_names(self, table: sa.Table) -> bool:
        """Whether a table of properties has any display names."""
        if table.name not in self._named:
            self._named[table.name] = display_names.are_used(self.connection, table)
        return self._named[table.name]

    def display_names(self, table: sa.Table, ids: Sequence[int]) -> dict[int, str]:
        """Display names by the owner's id, from a table of properties."""
        if not self.have_display_names(table):
            return {}
        return display_names.of(self.connection, table, ids, self.letters)

    def runs(self, ids: Iterable[int]) -> dict[int, Run]:
        """Runs by id; missing ones are left out."""
        found = {id_: run for id_ in ids if (run := self.index.run(id_)) is not None}
        others = [id_ for id_, run in found.items() if run.type not in (RUN, OLD_RUN)]
        if others:
            given = display_names.of(self.connection, self.tables.context_property, others, self.letters)
            found |= {id_: dataclasses.replace(found[id_], display_name=name) for id_, name in given.items()}
        return found

    def having_display_name(self, table: sa.Table, text: str) -> set[int]:
        """Ids of owners whose display name contains a text; only the newest if there are many."""
        if not text or not self.have_display_names(table):
            return set()
        return set(display_names.owners_containing(self.connection, table, text, self.letters, _MOST_NAMED))

    def artifacts(self, ids: Collection[int], names: Collection[str] | None = ()) -> dict[int, Artifact]:
        """Artifacts by id; missing ones are left out. `names` are the properties to read; None for all."""
        found: dict[int, Artifact] = {}
        kept = self._properties(self.tables.artifact_property, ids, names)
        for chunk in chunks(ids):
            query = sa.select(self.tables.artifact).where(self.tables.artifact.c.id.in_(chunk))
            for artifact in self.artifacts_of(self.connection.execute(query).all(), kept):
                found[artifact.id] = artifact
        return found

    def artifacts_of(self, rows: Sequence[sa.engine.Row], kept: dict | None = None) -> list[Artifact]:
        """Artifacts from rows of their table."""
        types, read, table = self.type_names(ARTIFACT_KIND), self.letters.read, self.tables.artifact_property
        given = self.display_names(table, [row.id for row in rows])
        return [
            Artifact(
                row.id,
                types.get(row.type_id, ""),
                read(row.name),
                read(row.uri),
                _name(ARTIFACT_STATES, row.state),
                row.create_time_since_epoch,
                row.last_update_time_since_epoch,
                (kept or {}).get(row.id, ()),
                given.get(row.id, ""),
            )
            for row in rows
        ]

    def executions(
        self,
        ids: Collection[int],
        names: Collection[str] | None = (),
        tasks_of: Collection[int] | None = None,
    ) -> dict[int, Execution]:
        """Executions by id; missing ones are left out.

        Args:
          names: Names of the properties to read; None for all.
          tasks_of: Executions whose tasks to read; None for all.
        """
        found: dict[int, Execution] = {}
        for chunk in chunks(ids):
            query = sa.select(self.tables.execution).where(self.tables.execution.c.id.in_(chunk))
            found |= self.executions_of(self.connection.execute(query).all(), names, tasks_of)
        return found

    def states(self, ids: Collection[int]) -> dict[int, str]:
        """States of executions by id."""
        table = self.tables.execution
        found: dict[int, str] = {}
        for chunk in chunks(ids):
            query = sa.select(table.c.id, table.c.last_known_state).where(table.c.id.in_(chunk))
            found.update(
                (id_, _name(EXECUTION_STATES, state)) for id_, state in self.connection.execute(query)
            )
        return found

    def executions_of(
        self,
        rows: Sequence[sa.engine.Row],
        names: Collection[str] | None = (),
        tasks_of: Collection[int] | None = None,
    ) -> dict[int, Execution]:
        """Executions by id from rows of their table, with their run, node and task; see `executions`."""
        types, index = self.type_names(EXECUTION_KIND), self.index
        members = {row.id: index.member(row.id) for row in rows}
        runs = self.runs({run for run, _ in members.values() if run})
        of_execution = {id_: runs.get(run) for id_, (run, _) in members.items()}
        found_tasks = self.tasks(
            {id_: run for id_, run in of_execution.items() if tasks_of is None or id_ in tasks_of}
        )
        kept = self._properties(self.tables.execution_property, list(members), names)
        nodes = self._node_names({node for _, node in members.values()})
        given = self._given_names([row for row in rows if not members[row.id][1]])
        made: dict[int, Execution] = {}
        for row in rows:
            run = of_execution[row.id]
            type_, node = types.get(row.type_id, ""), nodes.get(members[row.id][1], "")
            made[row.id] = Execution(
                row.id,
                type_,
                node_id(node, run.name if run else "", run.pipeline if run else ""),
                _name(EXECUTION_STATES, row.last_known_state),
                row.create_time_since_epoch,
                row.last_update_time_since_epoch,
                run,
                found_tasks.get(row.id),
                kept.get(row.id, ()),
                given.get(row.id, ""),
            )
        return made

    def _given_names(self, rows: Sequence[sa.engine.Row]) -> dict[int, str]:
        """Names of executions without a node."""
        table, names = self.tables.execution_property, (display_names.DISPLAY_NAME, display_names.TASK_NAME)
        given = {row.id: self.letters.read(row.name) for row in rows}
        return given | display_names.of(self.connection, table, list(given), self.letters, names)

    def tasks(self, runs: Mapping[int, Run | None]) -> dict[int, Task]:
        """Tasks by execution; none for executions that other programs wrote.

        Args:
          runs: The run of each execution.
        """
        return task_instances.of(self.connection, self.tables, runs, self.letters) if runs else {}

    def events(self, query: sa.sql.Select) -> list[Event]:
        """Events, with the key and the index of their paths.

        Args:
          query: Selects from Event.
        """
        rows = self.connection.execute(query).all()
        return self._events(rows, [row.id for row in rows])

    def _events(self, rows: Sequence[sa.engine.Row], with_paths: Sequence[int]) -> list[Event]:
        path = self.tables.event_path
        keys: dict[int, str] = {}
        places: dict[int, int] = {}
        for chunk in chunks(with_paths):
            steps = sa.select(path.c.event_id, path.c.is_index_step, path.c.step_index, path.c.step_key)
            for event, is_index, place, key in self.connection.execute(
                steps.where(path.c.event_id.in_(chunk))
            ):
                if is_index:
                    places.setdefault(event, place or 0)
                else:
                    keys.setdefault(event, self.letters.read(key))
        return [
            Event(
                row.artifact_id,
                row.execution_id,
                _name(EVENT_KINDS, row.type),
                keys.get(row.id, ""),
                places.get(row.id, 0),
                row.milliseconds_since_epoch or 0,
            )
            for row in rows
        ]

    def events_of_executions(
        self,
        ids: Collection[int],
        limit: int | None = None,
        kinds: Collection[int] = (),
        types: Collection[str] | None = None,
    ) -> list[Event]:
        """Events of executions, in the order they were made.

        Args:
          limit: Maximum number of events per 500 executions.
          kinds: MLMD's numbers of the kinds to read; all if empty.
          types: Names of the types of artifacts to read them of; None for all. With types, only those have a key and an
            index that share their execution with another of the same type: nothing else has to be told apart.
        """
        event, artifact, found = self.tables.event, self.tables.artifact, []
        wanted = sa.select(event).order_by(event.c.id).limit(limit)
        if kinds:
            wanted = wanted.where(event.c.type.in_(kinds))
        if types is not None:
            known = [id_ for id_, name in self.type_names(ARTIFACT_KIND).items() if name in types]
            wanted = wanted.join(artifact, artifact.c.id == event.c.artifact_id)
            wanted = wanted.where(plain(artifact.c.type_id, known)).add_columns(artifact.c.type_id)
        for chunk in chunks(ids):
            query = wanted.where(event.c.execution_id.in_(chunk))
            found += self.events(query) if types is None else self._of_types(query)
        return found

    def _of_types(self, query: sa.sql.Select) -> list[Event]:
        rows = self.connection.execute(query).all()
        several = collections.Counter((row.execution_id, row.type_id) for row in rows)
        return self._events(rows, [row.id for row in rows if several[row.execution_id, row.type_id] > 1])

    def _properties(self, table: sa.Table, ids: Collection[int], names: Collection[str] | None) -> dict:
        if names is not None and not names:
            return {}
        return properties.of(self.connection, table, ids, self.letters, names)

    def _node_names(self, ids: Collection[int]) -> dict[int, str]:
        """Names of node contexts; those of TFX's old launcher, one for each execution, are not in the index."""
        known = {id_: self.index.node_names[id_] for id_ in ids if id_ in self.index.node_names}
        context = self.tables.context
        for chunk in chunks(id_ for id_ in ids if id_ and id_ not in known):
            query = sa.select(context.c.id, context.c.name).where(context.c.id.in_(chunk))
            known.update((id_, self.letters.read(name)) for id_, name in self.connection.execute(query))
        return known


def node_id(context: str, run: str, pipeline: str) -> str:
    """Node id in a context's name: `<pipeline>.<node id>`, or `<run>.<node id>` of TFX's old launcher."""
    for before in (run, pipeline):
        if before and context.startswith(before + "."):
            return context[len(before) + 1 :]
    return context.rpartition(".")[2]


def _name(names: tuple[str, ...], number: int | None) -> str:
    return names[number] if number is not None and 0 <= number < len(names) else "UNKNOWN"
