"""Keeps a `RunIndex` up to date: the whole store once, then what came since.

Rows of MLMD's Context and Association are only ever added, with growing ids.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import sqlalchemy as sa

from mlmd_panel.letters import Letters
from mlmd_panel.properties import chunks
from mlmd_panel.run_index import RunIndex
from mlmd_panel.tables import CONTEXT_KIND, Tables

# Contexts' types; of TFX's old launcher `run` and `component_run`, one for each execution.
PIPELINE, RUN, NODE, TASK = "pipeline", "pipeline_run", "node", "airflow_task_instance"
OLD_RUN, OLD_NODE = "run", "component_run"
_ROWS_AT_ONCE = 20_000
# On a server a transaction may commit after one whose ids are higher.
_LATE = 500


class IndexReader:
    """The index of one store, shared by all threads."""

    def __init__(self, tables: Tables, letters: Letters):
        self._tables = tables
        self._letters = letters
        self._lock = threading.Lock()
        self._late = 0 if letters.dialect == "sqlite" else _LATE
        self._forget()

    def _forget(self) -> None:
        self._index = RunIndex()
        self._changed = True
        self._contexts = self._associations = 0
        # Executions of runs whose pipeline is to be found.
        self._undecided: list[int] = []

    def current(self, connection: sa.engine.Connection) -> RunIndex:
        """The index with all that the store has now; what is returned does not change any more."""
        with self._lock:
            # Associations before contexts: what they name is in Context by then.
            newest = self._newest(connection, self._tables.association)
            if self._is_another_store(connection, newest):
                self._forget()
            self._changed = False
            try:
                self._read(connection, newest)
            except BaseException:
                # What was read by half is read again.
                self._forget()
                raise
            return self._index

    def _writable(self) -> RunIndex:
        """The index to add to: a copy, which only this thread has yet."""
        if not self._changed:
            self._index, self._changed = self._index.copy(), True
        return self._index

    def _is_another_store(self, connection: sa.engine.Connection, newest: int) -> bool:
        """A store that was put back from a backup, or made again, where the index knows what is not there."""
        if not self._index.run_ids:
            return False
        last = self._index.run_ids[-1]
        context = self._tables.context
        found = connection.execute(sa.select(context.c.name).where(context.c.id == last)).scalar()
        return self._letters.read(found) != self._index.name(last) or newest < self._associations

    def _read(self, connection: sa.engine.Connection, last_association: int) -> None:
        type_ = self._tables.type
        kinds = {
            row.id: row.name
            for row in connection.execute(
                sa.select(type_.c.id, type_.c.name).where(
                    type_.c.type_kind == CONTEXT_KIND,
                    type_.c.name.in_([PIPELINE, RUN, OLD_RUN, NODE, OLD_NODE]),
                )
            )
        }
        self._read_contexts(connection, kinds)
        self._read_associations(connection, kinds, last_association)
        if self._undecided:
            self._decide(connection)

    @staticmethod
    def _newest(connection: sa.engine.Connection, table: sa.Table) -> int:
        return connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0

    def _windows(self, mark: int, last: int) -> Iterator[tuple[int, int]]:
        """Ranges (low, high] of ids that may hold rows not seen yet."""
        for low in range(max(0, mark - self._late), last, _ROWS_AT_ONCE):
            yield low, min(low + _ROWS_AT_ONCE, last)

    def _read_contexts(self, connection: sa.engine.Connection, kinds: dict[int, str]) -> None:
        context, index = self._tables.context, self._index
        last = self._newest(connection, context)
        wanted = [id_ for id_, name in kinds.items() if name != OLD_NODE]
        query = sa.select(context.c.id, context.c.type_id, context.c.name, context.c.create_time_since_epoch)
        for low, high in self._windows(self._contexts, last):
            within = query.where(context.c.id > low, context.c.id <= high, _plain(context.c.type_id, wanted))
            for id_, type_id, name, created in connection.execute(within.order_by(context.c.id)).all():
                if id_ <= self._contexts and index.knows(id_):
                    continue
                index, name, kind = self._writable(), self._letters.read(name), kinds[type_id]
                if kind == PIPELINE:
                    index.add_pipeline(id_, name)
                elif kind == NODE:
                    index.add_node(id_, name)
                else:
                    index.add_run(id_, name, created, kind == OLD_RUN)
        self._contexts = max(last, self._contexts)

    def _read_associations(self, connection: sa.engine.Connection, kinds: dict[int, str], last: int) -> None:
        association, context = self._tables.association, self._tables.context
        wanted = [id_ for id_, name in kinds.items() if name != PIPELINE]
        query = sa.select(association.c.execution_id, context.c.id, context.c.type_id).select_from(
            association.join(context, context.c.id == association.c.context_id)
        )
        for low, high in self._windows(self._associations, last):
            within = query.where(
                association.c.id > low, association.c.id <= high, _plain(context.c.type_id, wanted)
            )
            for execution, context_id, type_id in connection.execute(within.order_by(association.c.id)).all():
                if context_id in self._index.member(execution):
                    continue
                index = self._writable()
                if kinds[type_id] in (RUN, OLD_RUN):
                    index.add_member(execution, run=context_id)
                    if context_id in index.undecided:
                        self._undecided.append(execution)
                else:
                    index.add_member(execution, node=context_id)
        self._associations = max(last, self._associations)

    def _decide(self, connection: sa.engine.Connection) -> None:
        """Finds the pipelines of runs that are new, or had no execution until now."""
        index, asked = self._writable(), {}
        names = set(index.pipelines.values())
        for execution in self._undecided:
            run, node = index.member(execution)
            # Names have dots: of pipelines `a` and `a.b` both may begin the name of a node.
            possible = names.intersection(_beginnings(index.node_names.get(node, "")))
            if run in index.undecided and len(possible) == 1:
                index.decide(run, possible.pop())
            elif run in index.undecided:
                asked[run] = execution
        self._undecided = []
        self._ask(connection, {execution: run for run, execution in asked.items() if run in index.undecided})

    def _ask(self, connection: sa.engine.Connection, asked: dict[int, int]) -> None:
        association, index = self._tables.association, self._writable()
        for chunk in chunks(asked):
            query = sa.select(association.c.execution_id, association.c.context_id).where(
                association.c.context_id.in_(sorted(index.pipelines)), association.c.execution_id.in_(chunk)
            )
            for execution, context_id in connection.execute(query):
                index.decide(asked[execution], index.pipelines[context_id])


def _beginnings(name: str) -> Iterator[str]:
    """What stands before each dot."""
    for position, letter in enumerate(name):
        if letter == ".":
            yield name[:position]


def _plain(column: sa.Column, ids: list[int]) -> sa.sql.ColumnElement:
    """The column is one of the ids; not a reason to leave the range of ids for another index."""
    return (column + 0).in_(ids)
