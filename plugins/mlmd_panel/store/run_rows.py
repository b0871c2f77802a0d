"""Reads pages of runs, and the executions, events and artifacts of given runs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Sequence

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
    by_run = _executions(rows, [run.id for run in runs])
    ids = {id_ for some in by_run.values() for id_ in some}
    return _made(
        rows, runs, by_run, rows.executions(ids, properties), rows.events_of_executions(ids), properties
    )


def makers(
    rows: Rows, runs: Sequence[Run], made: Collection[int], properties: Collection[str] | None
) -> list[RunDetail]:
    """Of some runs, in their order, only the executions that made or found in the cache one of some artifacts.

    They have no tasks.
    """
    by_run = _executions(rows, [run.id for run in runs])
    event = rows.tables.event
    query = sa.select(event.c.execution_id).where(
        event.c.type.in_(OUTPUTS), plain(event.c.artifact_id, sorted(made))
    )
    found: set[int] = set()
    for chunk in chunks({id_ for some in by_run.values() for id_ in some}):
        found.update(rows.connection.execute(query.where(event.c.execution_id.in_(chunk))).scalars())
    by_run = {run: [id_ for id_ in some if id_ in found] for run, some in by_run.items()}
    executions = rows.executions(found, properties, tasks_of=())
    return _made(rows, runs, by_run, executions, rows.events_of_executions(found), properties)


def outlines(
    rows: Rows, runs: Sequence[Run], properties: Collection[str], types: Collection[str] | None
) -> list[RunDetail]:
    """Some runs, in their order, with their executions without properties and the artifacts that they produced.

    Executions have tasks only where these distinguish attempts at a node from instances of it.
    """
    by_run = _executions(rows, [run.id for run in runs])
    ids = {id_ for some in by_run.values() for id_ in some}
    made = rows.events_of_executions(ids, kinds=OUTPUTS, types=types)
    several = {id_ for some in by_run.values() if _has_repeated_nodes(rows, some) for id_ in some}
    return _made(rows, runs, by_run, rows.executions(ids, tasks_of=several), made, properties)


def with_output(rows: Rows, runs: Collection[int], type_name: str) -> set[int]:
    """Those runs that have made an artifact of a type, or found one in the cache."""
    by_run = _executions(rows, runs)
    event, artifact = rows.tables.event, rows.tables.artifact
    types = [id_ for id_, name in rows.type_names(ARTIFACT_KIND).items() if name == type_name]
    query = sa.select(event.c.execution_id).join(artifact, artifact.c.id == event.c.artifact_id)
    query = query.where(event.c.type.in_(OUTPUTS), plain(artifact.c.type_id, types))
    makers: set[int] = set()
    for chunk in chunks({id_ for some in by_run.values() for id_ in some}):
        makers.update(rows.connection.execute(query.where(event.c.execution_id.in_(chunk))).scalars())
    return {run for run, executions in by_run.items() if makers.intersection(executions)}


def _made(
    rows: Rows,
    runs: Sequence[Run],
    by_run: dict[int, list[int]],
    executions: dict[int, Execution],
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
