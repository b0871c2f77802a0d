"""Lists executions, artifacts and contexts in pages, newest first, with bounded queries.

A list is read one range of ids at a time, so that no filter makes the database read a whole table at once.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from mlmd_panel.store import artifact_events, conditions, context_rows, visibility
from mlmd_panel.store.context_rows import Context
from mlmd_panel.store.execution_search import ExecutionText
from mlmd_panel.store.filters import ArtifactFilter, ContextFilter, ExecutionFilter
from mlmd_panel.store.records import Artifact, Execution, Page
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import ARTIFACT_KIND, CONTEXT_KIND, EXECUTION_KIND, OUTPUTS, OWN_CONTEXTS

SECONDS = 0.25
_FIRST_STEP, _LAST_STEP = 1_000, 50_000
_IDS_AT_ONCE = 400
# If a filter matches no more artifacts than this, all their ids are read at once.
_FEW = 2_000
_CHOSEN_AT_ONCE = 100
_MOST_ROWS = 2_000
_Record = TypeVar("_Record", Artifact, Context, Execution)
# Rows, highest id first, and the id below which nothing has been read yet.
_Steps = Iterator[tuple[Sequence[sa.engine.Row], int]]


def executions(
    rows: Rows,
    wanted: ExecutionFilter,
    dags: frozenset[str] | None,
    limit: int,
    after: int | None,
    seconds: float,
) -> Page[Execution]:
    """A page of executions."""
    table, index = rows.tables.execution, rows.index
    where = conditions.of_executions(wanted, rows.tables, rows.type_names(EXECUTION_KIND))
    query = sa.select(table).where(*where)
    has_text = ExecutionText(rows, wanted.text) if wanted.text else None
    is_of_runs = wanted.pipeline or wanted.run is not None or wanted.dag_id or wanted.node
    # The index has no states, types or ids; filters with those are faster on the table.
    is_of_rows = wanted.state or wanted.type or (has_text and has_text.needs_rows)
    joined, runs = rows.tables.association, _runs(rows, wanted, dags)
    if wanted.context is not None:
        if not context_rows.is_visible(rows, wanted.context, dags):
            return Page((), None)
        query = query.select_from(table.join(joined, joined.c.execution_id == table.c.id))
        query, column = query.where(joined.c.context_id == wanted.context), joined.c.execution_id
        steps = _by_range(rows, table, column, query, column, limit + 1, after)
    elif is_of_runs or not is_of_rows and (dags is not None or has_text):
        steps = _by_member(rows, wanted, has_text, runs, query, limit, after)
    else:
        steps = _by_range(rows, table, table.c.id, query, table.c.id, limit + 1, after)

    def chosen(found: Sequence[sa.engine.Row]) -> list[Execution]:
        seen = [row for row in found if index.visible(row.id, dags)]
        made = rows.executions_of([row for row in seen if has_text is None or has_text.may_be(row)])
        return [
            execution
            for execution in made.values()
            if (has_text is None or has_text.of(execution))
            and (not wanted.node or execution.node == wanted.node)
            and (runs is None or (execution.run and execution.run.id in runs))
            and (not wanted.task_id or (execution.task and execution.task.task_id == wanted.task_id))
            and (
                wanted.map_index is None or (execution.task and execution.task.map_index == wanted.map_index)
            )
        ]

    return _page(rows, table, steps, chosen, limit, seconds)


def _runs(rows: Rows, wanted: ExecutionFilter, dags: frozenset[str] | None) -> set[int] | None:
    """Runs that the user may see and that match the filter; None for all."""
    if dags is None and wanted.run is None and not (wanted.pipeline or wanted.dag_id):
        return None
    runs = set(rows.index.runs(dags, pipeline=wanted.pipeline, dag_id=wanted.dag_id))
    return runs if wanted.run is None else runs & {wanted.run}


def _by_member(
    rows: Rows,
    wanted: ExecutionFilter,
    has_text: ExecutionText | None,
    runs: set[int] | None,
    query: Any,
    limit: int,
    after: int | None,
) -> _Steps:
    index, table = rows.index, rows.tables.execution
    nodes = None
    if wanted.node and not index.has_old_nodes:
        nodes = {id_ for id_, name in index.node_names.items() if name.endswith("." + wanted.node)}
    elif has_text and not has_text.needs_rows and not has_text.nodes:
        runs = has_text.runs if runs is None else runs & has_text.runs
    members = index.members(runs, nodes, after)
    for step in itertools.count():
        ids = list(itertools.islice(members, min((limit + 1) * 2**step, _IDS_AT_ONCE)))
        if not ids:
            break
        within = query.where(table.c.id.in_(ids)).order_by(table.c.id.desc())
        yield rows.connection.execute(within).all(), ids[-1]
    yield [], 0


def contexts(
    rows: Rows,
    wanted: ContextFilter,
    dags: frozenset[str] | None,
    limit: int,
    after: int | None,
    seconds: float,
) -> Page[Context]:
    """A page of contexts."""
    table, types = rows.tables.context, rows.type_names(CONTEXT_KIND)
    types = {
        id_: name
        for id_, name in types.items()
        if (not wanted.type or name == wanted.type) and not (wanted.others and name in OWN_CONTEXTS)
    }
    if not types:
        return Page((), None)
    displayed = bool(wanted.text) and rows.have_display_names(rows.tables.context_property)
    where = conditions.of_contexts(wanted, rows.tables, rows.letters, types, displayed)
    query = sa.select(table).where(*where)
    if dags is None:
        steps = _by_range(rows, table, table.c.id, query, table.c.id, limit + 1, after)
    else:
        steps = _by_id(rows, table, query, list(rows.index.runs(dags)), after)
    return _page(rows, table, steps, lambda found: context_rows.of_rows(rows, found), limit, seconds)


def artifacts(
    rows: Rows,
    wanted: ArtifactFilter,
    dags: frozenset[str] | None,
    limit: int,
    after: int | None,
    seconds: float,
) -> Page[Artifact]:
    """A page of artifacts."""
    table, index = rows.tables.artifact, rows.index
    displayed = bool(wanted.text) and rows.have_display_names(rows.tables.artifact_property)
    types = rows.type_names(ARTIFACT_KIND)
    where = conditions.of_artifacts(wanted, rows.tables, rows.letters, types, displayed)
    query = sa.select(table).where(*where)
    contexts = _contexts(rows, wanted)
    if wanted.run is not None and not (index.run(wanted.run) and index.run_visible(wanted.run, dags)):
        return Page((), None)
    if wanted.context is not None and not context_rows.is_visible(rows, wanted.context, dags):
        return Page((), None)
    few, id_ = _few(rows, wanted), table.c.id
    most = limit + 1
    if wanted.run is not None and wanted.context is not None:
        query = query.where(_in_contexts(rows, [wanted.context]))
    if few is not None:
        if contexts is not None:
            query = query.where(_in_contexts(rows, contexts))
        steps = _by_id(rows, table, query, few, after)
    elif contexts is not None:
        joined = rows.tables.attribution
        query = query.select_from(table.join(joined, joined.c.artifact_id == id_))
        query = query.where(joined.c.context_id.in_(contexts))
        # An artifact may be in two contexts, as when two programs registered one type.
        order, query = (joined.c.artifact_id, query) if len(contexts) == 1 else (id_, query.distinct())
        steps = _by_range(rows, table, joined.c.artifact_id, query, order, most, after)
    else:
        steps = _by_range(rows, table, id_, query, id_, most, after)

    def chosen(found: Sequence[sa.engine.Row]) -> list[Artifact]:
        return _shown(rows, rows.artifacts_of(found), wanted, dags)

    return _page(rows, table, steps, chosen, limit, seconds)


def _contexts(rows: Rows, wanted: ArtifactFilter) -> list[int] | None:
    """Contexts that the artifacts must belong to; None if the filter does not restrict them."""
    index = rows.index
    one = wanted.run if wanted.run is not None else wanted.context
    if one is not None:
        return [one]
    if wanted.producer and not index.has_old_nodes:
        # These have what the node produced, and also what it used.
        end = f"{wanted.pipeline}.{wanted.producer}"
        return [
            id_
            for id_, name in index.node_names.items()
            if (name == end if wanted.pipeline else name.endswith(end))
        ]
    if wanted.pipeline:
        return [id_ for id_, name in index.pipelines.items() if name == wanted.pipeline]
    return None


def _in_contexts(rows: Rows, contexts: list[int]) -> Any:
    joined = rows.tables.attribution
    mine = sa.select(joined.c.id).where(
        joined.c.context_id.in_(contexts), joined.c.artifact_id == rows.tables.artifact.c.id
    )
    return mine.exists()


def _few(rows: Rows, wanted: ArtifactFilter) -> list[int] | None:
    """Ids of all artifacts with a rare type or property value; None if the filter has none."""
    queries: list[sa.Select | sa.CompoundSelect | None] = [
        conditions.rare_artifacts(one, rows.tables, rows.letters, _FEW) for one in wanted.properties
    ]
    if wanted.type:
        row, types = rows.tables.artifact, rows.type_names(ARTIFACT_KIND)
        of_type = row.c.type_id.in_([id_ for id_, name in types.items() if name == wanted.type])
        queries.append(sa.select(row.c.id).where(of_type).limit(_FEW + 1))
    for query in queries:
        if query is not None:
            found = [row[0] for row in rows.connection.execute(query)]
            if len(found) <= _FEW:
                return sorted(set(found), reverse=True)
    return None


def _shown(
    rows: Rows, found: Sequence[Artifact], wanted: ArtifactFilter, dags: frozenset[str] | None
) -> list[Artifact]:
    if wanted.producer:
        ids = [artifact.id for artifact in found]
        # The first execution produced it; others took it from the cache.
        makers = dict(artifact_events.first_or_newest(rows.connection, rows.tables, ids, 1, OUTPUTS))
        made_by = rows.executions(set(makers.values()), tasks_of=())
        nodes = {artifact: made_by[maker].node for artifact, maker in makers.items() if maker in made_by}
        found = [artifact for artifact in found if nodes.get(artifact.id) == wanted.producer]
    if dags is None:
        return list(found)
    seen = visibility.visible_artifacts(rows, [artifact.id for artifact in found], dags)
    return [artifact for artifact in found if artifact.id in seen]


def _by_range(
    rows: Rows,
    table: sa.Table,
    column: sa.Column,
    query: Any,
    order: sa.Column,
    most: int,
    after: int | None,
) -> _Steps:
    """Rows by ranges of ids, which grow while they contain little."""
    newest = rows.connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
    high = newest + 1 if after is None else min(after, newest + 1)
    step = _FIRST_STEP
    while high > 0:
        low = max(0, high - step)
        within = query.where(column >= low, column < high).order_by(order.desc()).limit(most)
        found = rows.connection.execute(within).all()
        full = len(found) == most
        high = found[-1].id if full else low
        step = step if full else min(step * 4, _LAST_STEP)
        # If Python filters out many rows, read more at once.
        most = min(most * 2, _MOST_ROWS)
        yield found, high
    yield [], 0


def _by_id(rows: Rows, table: sa.Table, query: Any, ids: list[int], after: int | None) -> _Steps:
    ids = [id_ for id_ in ids if after is None or id_ < after]
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        within = query.where(table.c.id.in_(some)).order_by(table.c.id.desc())
        yield rows.connection.execute(within).all(), some[-1]
    yield [], 0


def _page(
    rows: Rows,
    table: sa.Table,
    steps: _Steps,
    chosen: Callable[[Sequence[sa.engine.Row]], list[_Record]],
    limit: int,
    seconds: float,
) -> Page[_Record]:
    """Takes steps until the page is full, nothing is left or time is up."""
    kept: list[_Record] = []
    deadline = time.monotonic() + seconds
    for found, low in steps:
        # Rows that the page does not need are not processed.
        for start in range(0, len(found), _CHOSEN_AT_ONCE):
            kept += chosen(found[start : start + _CHOSEN_AT_ONCE])
            if len(kept) > limit:
                return Page(tuple(kept[:limit]), kept[limit - 1].id)
        if low > 0 and time.monotonic() > deadline:
            times = sa.select(table.c.create_time_since_epoch).where(table.c.id >= low).order_by(table.c.id)
            return Page(tuple(kept), low, rows.connection.execute(times.limit(1)).scalar())
    return Page(tuple(kept), None)
