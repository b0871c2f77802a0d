"""Reads pages of runs, and the executions, events and artifacts of given runs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.properties import chunks
from mlmd_panel.store.records import Event, Execution, Page, Run, RunDetail
from mlmd_panel.store.rows import Rows
from mlmd_panel.store.tables import ARTIFACT_KIND, OUTPUTS, plain

_RUNS_AT_ONCE = 50
# States that decide the state of a run, in this order.
_UNFINISHED, _BAD = ("NEW", "RUNNING"), ("FAILED", "CANCELED", "UNKNOWN")


def run_state(executions: Sequence[Execution]) -> str:
    """State of a run, from the newest attempt of each task instance or node; NEW without executions.

    RUNNING while one is NEW or RUNNING, otherwise FAILED, CANCELED or UNKNOWN, in this order, if one is, otherwise
    COMPLETE; CACHED counts as complete.
    """
    return _decided({e.instance: e.state for e in sorted(executions, key=lambda e: e.id)})


def _decided(newest: dict[object, str]) -> str:
    states = set(newest.values())
    if not states:
        return "NEW"
    if states.intersection(_UNFINISHED):
        return "RUNNING"
    return next((state for state in _BAD if state in states), "COMPLETE")


def of(rows: Rows, runs: Sequence[Run], properties: Collection[str] | None) -> list[RunDetail]:
    """Details of some runs, in their order."""
    found = _execution_rows(rows, runs)
    by_run = {run: [row.id for row in some] for run, some in found.items()}
    executions = rows.executions_of(_each(found), properties)
    return _made(rows, runs, by_run, executions, rows.events_of_executions(executions), properties)


def makers(
    rows: Rows, runs: Sequence[Run], made: Collection[int], properties: Collection[str] | None
) -> list[RunDetail]:
    """Of some runs, in their order, only the executions that made or found in the cache one of some artifacts.

    They have no tasks.
    """
    event, association = rows.tables.event, rows.tables.association
    query = sa.select(association.c.context_id, event.c.execution_id).join_from(
        association, event, event.c.execution_id == association.c.execution_id
    )
    query = query.where(event.c.type.in_(OUTPUTS), plain(event.c.artifact_id, sorted(made)))
    by_run: dict[int, set[int]] = {}
    for chunk in chunks(run.id for run in runs):
        for run, execution in rows.connection.execute(query.where(association.c.context_id.in_(chunk))):
            by_run.setdefault(run, set()).add(execution)
    executions = rows.executions({id_ for some in by_run.values() for id_ in some}, properties, tasks_of=())
    return _made(rows, runs, by_run, executions, rows.events_of_executions(executions), properties)


def outlines(
    rows: Rows, runs: Sequence[Run], properties: Collection[str], types: Collection[str] | None
) -> list[RunDetail]:
    """Some runs, in their order, with their executions without properties and the artifacts that they produced.

    Executions have tasks only where these distinguish attempts at a node from instances of it.
    """
    found = _execution_rows(rows, runs)
    by_run = {run: [row.id for row in some] for run, some in found.items()}
    several = {id_ for some in by_run.values() if _has_repeated_nodes(rows, some) for id_ in some}
    executions = rows.executions_of(_each(found), (), several)
    made = rows.events_of_executions(executions, kinds=OUTPUTS, types=types)
    return _made(rows, runs, by_run, executions, made, properties)


def with_output(rows: Rows, runs: Collection[int], type_name: str) -> set[int]:
    """Those runs that have made an artifact of a type, or found one in the cache."""
    association, event, artifact = rows.tables.association, rows.tables.event, rows.tables.artifact
    types = [id_ for id_, name in rows.type_names(ARTIFACT_KIND).items() if name == type_name]
    query = sa.select(association.c.context_id).distinct()
    query = query.join_from(association, event, event.c.execution_id == association.c.execution_id)
    query = query.join(artifact, artifact.c.id == event.c.artifact_id)
    query = query.where(event.c.type.in_(OUTPUTS), plain(artifact.c.type_id, types))
    found: set[int] = set()
    for chunk in chunks(runs):
        found.update(rows.connection.execute(query.where(association.c.context_id.in_(chunk))).scalars())
    return found


def _made(
    rows: Rows,
    runs: Sequence[Run],
    by_run: Mapping[int, Collection[int]],
    executions: Mapping[int, Execution],
    found: Sequence[Event],
    properties: Collection[str] | None,
) -> list[RunDetail]:
    artifacts = rows.artifacts({event.artifact_id for event in found}, properties)
    events: dict[int, list[Event]] = {}
    for event in found:
        events.setdefault(event.execution_id, []).append(event)
    details = []
    for run in runs:
        mine = sorted(
            (executions[id_] for id_ in by_run.get(run.id, ()) if id_ in executions),
            key=lambda e: (e.created, e.id),
        )
        of_run = tuple(event for execution in mine for event in events.get(execution.id, ()))
        used = {e.artifact_id: artifacts[e.artifact_id] for e in of_run if e.artifact_id in artifacts}
        details.append(RunDetail(run, tuple(mine), of_run, used))
    return details


def page(
    rows: Rows, wanted: RunFilter, dags: frozenset[str] | None, limit: int, after: int | None, seconds: float
) -> Page[Run]:
    """A page of runs; a search by state stops when time is up."""
    found = rows.index.runs(
        dags,
        wanted.pipeline,
        wanted.dag_id,
        wanted.since,
        wanted.until,
        wanted.text,
        type_=wanted.type,
        before=after,
        also=rows.having_display_name(rows.tables.context_property, wanted.text),
    )
    kept: list[Run] = []
    deadline = time.monotonic() + seconds
    while len(kept) <= limit:
        ids = list(itertools.islice(found, _RUNS_AT_ONCE if wanted.state else limit + 1))
        if not ids:
            return Page(tuple(kept), None)
        fitting = _in_state(rows, ids, wanted.state) if wanted.state else ids
        kept += rows.runs(fitting).values()
        last = rows.index.run(ids[-1])
        if len(kept) <= limit and time.monotonic() > deadline and last is not None:
            return Page(tuple(kept), last.id, last.created)
    return Page(tuple(kept[:limit]), kept[limit - 1].id)


def _in_state(rows: Rows, runs: list[int], state: str) -> list[int]:
    by_run = _executions(rows, runs)
    ids = {id_ for some in by_run.values() for id_ in some}
    if rows.index.has_old_nodes:
        executions = rows.executions(ids, tasks_of=())
        return [run for run in runs if run_state([executions[id_] for id_ in by_run.get(run, ())]) == state]
    states = rows.states(ids)
    several = {
        id_: rows.index.run(run)
        for run, some in by_run.items()
        if _has_repeated_nodes(rows, some)
        for id_ in some
    }
    found = rows.tasks(several)

    def instance(id_: int) -> tuple:
        task = found.get(id_)
        return (rows.index.member(id_)[1] or -id_, *((task.task_id, task.map_index) if task else ()))

    return [
        run
        for run in runs
        if state == _decided({instance(id_): states[id_] for id_ in sorted(by_run.get(run, ()))})
    ]


def _has_repeated_nodes(rows: Rows, executions: Collection[int]) -> bool:
    """Whether a node has several executions in a run: attempts or instances, which only tasks distinguish."""
    nodes = [node for id_ in executions if (node := rows.index.member(id_)[1])]
    return len(set(nodes)) < len(nodes)


def _execution_rows(rows: Rows, runs: Sequence[Run]) -> dict[int, list[sa.engine.Row]]:
    """Rows of Execution by run."""
    execution, association = rows.tables.execution, rows.tables.association
    query = sa.select(association.c.context_id, execution).join_from(
        association, execution, execution.c.id == association.c.execution_id
    )
    found: dict[int, list[sa.engine.Row]] = {}
    for chunk in chunks(run.id for run in runs):
        for row in rows.connection.execute(query.where(association.c.context_id.in_(chunk))):
            found.setdefault(row.context_id, []).append(row)
    return found


def _each(found: dict[int, list[sa.engine.Row]]) -> list[sa.engine.Row]:
    """Each execution's row once, though it may be of several runs."""
    return list({row.id: row for some in found.values() for row in some}.values())


def _executions(rows: Rows, runs: Collection[int]) -> dict[int, list[int]]:
    association = rows.tables.association
    found: dict[int, list[int]] = {}
    for chunk in chunks(runs):
        query = sa.select(association.c.context_id, association.c.execution_id).where(
            association.c.context_id.in_(chunk)
        )
        for run, execution in rows.connection.execute(query):
            found.setdefault(run, []).append(execution)
    return found
