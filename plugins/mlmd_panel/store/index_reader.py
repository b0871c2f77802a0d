"""Keeps a `RunIndex` up to date: reads the whole store once, then only new rows.

Rows of MLMD's Context and Association are only ever added, with increasing ids.
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Iterator

import sqlalchemy as sa

from mlmd_panel.store import task_instances
from mlmd_panel.store.mlmd_facts import TASK_CONTEXT
from mlmd_panel.store.properties import IDS_AT_ONCE, chunks
from mlmd_panel.store.run_index import RunIndex
from mlmd_panel.store.tables import CONTEXT_KIND, Tables, plain
from mlmd_panel.store.text_encoding import Letters

# Context types; TFX's old launcher made one `component_run` for each execution.
PIPELINE, NODE, OLD_NODE = "pipeline", "node", "component_run"
# One for each execution; not a run.
_CACHE = "execution_cache"
_ROWS_AT_ONCE = 5_000
# On a server a transaction may commit after one with higher ids.
_LATE = 500


@dataclasses.dataclass(frozen=True)
class _Marks:
    """What changes when a table gets rows.

    Attributes:
      newest: Its highest id.
      above: Rows above this id may still commit late; 0, with the next two, where none can or nothing was read yet.
      count: How many rows there are above it.
      total: The sum of their ids.
    """

    newest: int
    above: int
    count: int
    total: int


class IndexReader:
    """The index of one store, shared by all threads."""

    def __init__(self, tables: Tables, letters: Letters, recent: int = 0):
        """Makes the reader of a store.

        Args:
          tables: Its tables.
          letters: How it keeps text.
          recent: Begin with so many of the newest rows of Association: for a process that looks at a late run and
            then ends. Earlier runs are not in the index, those that are in it are whole. 0 for all.
        """
        self._recent = recent
        self._tables = tables
        self._letters = letters
        self._lock = threading.Lock()
        self._late = 0 if letters.dialect == "sqlite" else _LATE
        self._forget()

    def _forget(self) -> None:
        self._index = RunIndex()
        self._changed = True
        self._marks: tuple[_Marks, _Marks] | None = None
        self._contexts = self._associations = 0
        # What is left out: contexts and associations up to these.
        self._first_context = self._first_association = 0
        # Executions of runs whose pipeline is still unknown.
        self._undecided: list[int] = []
        # How many contexts without a parent were looked up in this round.
        self._asked = 0

    def current(self, connection: sa.engine.Connection) -> RunIndex:
        """The index with everything that is in the store now; the returned object never changes."""
        with self._lock:
            association, context, last = self._newest(connection)
            if self._is_another_store(association.newest, last):
                self._forget()
            self._changed = False
            if self._recent and not self._associations:
                self._skip(connection, association.newest - self._recent)
            try:
                if (association, context) != self._marks:
                    self._read(connection, association.newest, context.newest)
                elif self._index.orphans:
                    self._read_parents(connection, [])
            except BaseException:
                # A half-read index is discarded.
                self._forget()
                raise
            self._marks = (association, context)
            return self._index

    def _newest(self, connection: sa.engine.Connection) -> tuple[_Marks, _Marks, str | None]:
        """What tells whether rows were added since a request that saw the same: of Association, of Context, and the name
        of the last run in the index.

        One statement, so that the contexts of all these associations are among these contexts.
        """
        context = self._tables.context
        associations = self._marked(self._tables.association, self._associations)
        contexts = self._marked(context, self._contexts)
        last = sa.select(context.c.name).where(context.c.id == (self._index.run_ids or [0])[-1])
        query = sa.select(*associations.c, *contexts.c, last.scalar_subquery())
        *marks, name = connection.execute(query.select_from(associations.join(contexts, sa.true()))).one()
        numbers = [int(value or 0) for value in marks]
        return _Marks(*numbers[:4]), _Marks(*numbers[4:]), name

    def _marked(self, table: sa.Table, read: int) -> sa.Subquery:
        """Selects one row, the fields of `_Marks`.

        Args:
          read: Up to which id the table's rows were read.
        """
        ids = table.c.id
        newest = sa.select(sa.func.max(ids)).scalar_subquery().label("newest")
        if not read or not self._late:
            nothing = (sa.literal(0).label(name) for name in ("above", "count", "total"))
            return sa.select(newest, *nothing).subquery()
        # Rows that commit late have ids below the newest. To count them is quicker than to read them.
        above = read - self._late
        count, total = sa.func.count(ids).label("count"), sa.func.sum(ids).label("total")
        return sa.select(newest, sa.literal(above).label("above"), count, total).where(ids > above).subquery()

    def _skip(self, connection: sa.engine.Connection, association: int) -> None:
        """Leaves out associations up to this one, and runs that have any of them, with all runs before these."""
        table = self._tables.association
        newest = sa.select(sa.func.max(table.c.context_id)).where(table.c.id <= association)
        # Contexts are mostly as old as their associations, so this leaves few for the second question.
        near = connection.execute(newest.where(table.c.id > association - _LATE)).scalar() or 0
        skipped = connection.execute(newest.where(table.c.context_id > near)).scalar() or near
        if skipped:
            self._contexts = self._first_context = skipped
            self._associations = self._first_association = association

    def _writable(self) -> RunIndex:
        """An index to add to: a copy that no other thread has."""
        if not self._changed:
            self._index, self._changed = self._index.copy(), True
        return self._index

    def _is_another_store(self, newest: int, last: str | None) -> bool:
        """Whether the store was restored or recreated, so that the index has entries that it does not.

        Args:
          newest: Highest id of its associations.
          last: Name of the context that is the last run in the index; None if it has none.
        """
        if not self._index.run_ids:
            return False
        return (
            self._letters.read(last) != self._index.name(self._index.run_ids[-1])
            or newest < self._associations
        )

    def _read(self, connection: sa.engine.Connection, last_association: int, last_context: int) -> None:
        type_ = self._tables.type
        query = sa.select(type_.c.id, type_.c.name).where(type_.c.type_kind == CONTEXT_KIND)
        kinds = {id_: self._letters.read(name) for id_, name in connection.execute(query)}
        of_tasks = [id_ for id_, name in kinds.items() if name == TASK_CONTEXT]
        kinds = {id_: name for id_, name in kinds.items() if name not in (TASK_CONTEXT, _CACHE)}
        new = self._read_contexts(connection, kinds, last_context)
        if self._index.orphans:
            self._read_parents(connection, new)
        windows = list(self._windows(self._associations, last_association, self._first_association))
        self._read_associations(connection, kinds, windows)
        self._associations = max(last_association, self._associations)
        if self._undecided:
            self._decide(connection)
        if self._index.unresolved:
            self._read_tasks(connection, of_tasks, windows)

    def _windows(self, mark: int, last: int, first: int) -> Iterator[tuple[int, int]]:
        """Ranges (low, high] of ids that may hold rows not seen yet, and none that are left out."""
        for low in range(max(first, mark - self._late), last, _ROWS_AT_ONCE):
            yield low, min(low + _ROWS_AT_ONCE, last)

    def _read_contexts(self, connection: sa.engine.Connection, kinds: dict[int, str], last: int) -> list[int]:
        """Returns the ids of new contexts that may have a parent."""
        context, index = self._tables.context, self._index
        new: list[int] = []
        wanted = [id_ for id_, name in kinds.items() if name != OLD_NODE]
        query = sa.select(context.c.id, context.c.type_id, context.c.name, context.c.create_time_since_epoch)
        if self._first_context and not index.pipelines:
            self._read_names(
                connection, {id_: kinds[id_] for id_ in wanted if kinds[id_] in (PIPELINE, NODE)}
            )
        for low, high in self._windows(self._contexts, last, self._first_context):
            within = query.where(context.c.id > low, context.c.id <= high, plain(context.c.type_id, wanted))
            for id_, type_id, name, created in connection.execute(within.order_by(context.c.id)).all():
                if id_ <= self._contexts and index.knows(id_):
                    continue
                index, name, kind = self._writable(), self._letters.read(name), kinds[type_id]
                if kind == PIPELINE:
                    index.add_pipeline(id_, name)
                elif kind == NODE:
                    index.add_node(id_, name)
                else:
                    index.add_run(id_, name, created, kind)
                    new.append(id_)
        self._contexts = max(last, self._contexts)
        return [id_ for id_ in new if id_ in index.orphans]

    def _read_names(self, connection: sa.engine.Connection, kinds: dict[int, str]) -> None:
        """Reads the pipelines and nodes among the contexts that were skipped: late runs are of them, too."""
        context, index = self._tables.context, self._writable()
        query = sa.select(context.c.id, context.c.type_id, context.c.name)
        query = query.where(context.c.type_id.in_(sorted(kinds)), context.c.id <= self._first_context)
        for id_, type_id, name in connection.execute(query):
            add = index.add_pipeline if kinds[type_id] == PIPELINE else index.add_node
            add(id_, self._letters.read(name))

    def _read_parents(self, connection: sa.engine.Connection, new: list[int]) -> None:
        """Looks up parents of contexts without one: the new ones, the newest, and some older ones in turn.

        Links to parents have no ids, so new ones cannot be queried.
        """
        orphans, link, context = self._index.orphans, self._tables.parent_context, self._tables.context
        turn = list(itertools.islice(orphans, self._asked, self._asked + IDS_AT_ONCE))
        self._asked = self._asked + IDS_AT_ONCE if len(turn) == IDS_AT_ONCE else 0
        asked = {*new, *turn, *itertools.islice(reversed(orphans), IDS_AT_ONCE)}
        query = (
            sa.select(link.c.context_id, link.c.parent_context_id, context.c.name)
            .select_from(link.join(context, context.c.id == link.c.parent_context_id))
            .order_by(link.c.context_id, link.c.parent_context_id)
        )
        moved: list[int] = []
        for chunk in chunks(asked):
            for child, parent, name in connection.execute(query.where(link.c.context_id.in_(chunk))).all():
                if self._writable().add_parent(child, parent, self._letters.read(name)):
                    moved.append(child)
        joined = self._tables.association
        members = sa.select(joined.c.execution_id, joined.c.context_id)
        for chunk in chunks(moved):
            for execution, child in connection.execute(members.where(joined.c.context_id.in_(chunk))).all():
                self._writable().add_member(execution, run=child)

    def _read_tasks(
        self, connection: sa.engine.Connection, types: list[int], windows: list[tuple[int, int]]
    ) -> None:
        """Reads the ids of runs whose names may be shortened from the task instances of their executions."""
        association, context = self._tables.association, self._tables.context
        query = sa.select(association.c.execution_id, context.c.id).select_from(
            association.join(context, context.c.id == association.c.context_id)
        )
        found: dict[int, int] = {}
        for low, high in windows:
            within = query.where(
                association.c.id > low, association.c.id <= high, plain(context.c.type_id, types)
            )
            for execution, task in connection.execute(within):
                run = self._index.member(execution)[0]
                if run in self._index.unresolved:
                    found[run] = task
        fields = task_instances.fields(
            connection, self._tables.context_property, found.values(), self._letters
        )
        for run, task in found.items():
            ids = fields.get(task, {})
            if "dag_id" in ids and "run_id" in ids:
                self._writable().resolve(run, ids["dag_id"], ids["run_id"])

    def _read_associations(
        self, connection: sa.engine.Connection, kinds: dict[int, str], windows: list[tuple[int, int]]
    ) -> None:
        association, context = self._tables.association, self._tables.context
        wanted = [id_ for id_, name in kinds.items() if name != PIPELINE]
        query = sa.select(association.c.execution_id, context.c.id, context.c.type_id).select_from(
            association.join(context, context.c.id == association.c.context_id)
        )
        for low, high in windows:
            within = query.where(
                association.c.id > low, association.c.id <= high, plain(context.c.type_id, wanted)
            )
            for execution, context_id, type_id in connection.execute(within.order_by(association.c.id)).all():
                is_node = kinds[type_id] in (NODE, OLD_NODE)
                run, node = (0, context_id) if is_node else (context_id, 0)
                if not self._index.would_change(execution, run, node):
                    continue
                self._writable().add_member(execution, run, node)
                if run in self._index.undecided:
                    self._undecided.append(execution)

    def _decide(self, connection: sa.engine.Connection) -> None:
        """Finds the pipelines of runs that are new or had no execution so far."""
        index = self._writable()
        asked: dict[int, int] = {}
        names = set(index.pipelines.values())
        for execution in self._undecided:
            run, node = index.member(execution)
            # Names may contain dots: a node's name may start with both pipelines `a` and `a.b`.
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
    """The parts of a name before each of its dots."""
    for position, letter in enumerate(name):
        if letter == ".":
            yield name[:position]
