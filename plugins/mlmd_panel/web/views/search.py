"""The search page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Query

from mlmd_panel.errors import NotFound
from mlmd_panel.store.filters import ArtifactFilter, ContextFilter, ExecutionFilter, RunFilter
from mlmd_panel.store.records import Artifact, Execution
from mlmd_panel.store.store import Dags
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.request import Visiting

SHOWN = 10
_Row = TypeVar("_Row", bound=Artifact | Execution)


def search(visit: Visiting, q: Annotated[str, Query(max_length=500)] = "") -> Answer:
    """Pipelines, runs, executions, artifacts and contexts whose name, type or URI contains a text, or whose id it is."""
    wanted = q.strip()
    data: dict = {
        "q": wanted,
        "pipelines": (),
        "runs": (),
        "executions": (),
        "artifacts": (),
        "contexts": (),
        "more": {},
    }
    if wanted:
        runs = visit.store.runs(RunFilter(text=wanted), visit.dags, limit=SHOWN)
        executions = visit.store.executions(ExecutionFilter(text=wanted), visit.dags, limit=SHOWN)
        artifacts = visit.store.artifacts(ArtifactFilter(text=wanted), visit.dags, limit=SHOWN)
        contexts = visit.store.contexts(ContextFilter(text=wanted, others=True), visit.dags, limit=SHOWN)
        pipelines = [p for p in visit.store.pipelines(visit.dags) if wanted.lower() in p.name.lower()]
        data |= {
            "pipelines": tuple(pipelines[:SHOWN]),
            "runs": runs.rows,
            "executions": _with_id(wanted, executions.rows, visit.store.execution, visit.dags),
            "artifacts": _with_id(wanted, artifacts.rows, visit.store.artifact, visit.dags),
            "contexts": tuple(c for c in contexts.rows if c.id not in {run.id for run in runs.rows}),
            "more": {
                "runs": runs.after is not None,
                "executions": executions.after is not None,
                "artifacts": artifacts.after is not None,
                "contexts": contexts.after is not None,
            },
        }
    return Answer("search.html", f"Search: {wanted}" if wanted else "Search", data)


def _with_id(
    wanted: str, rows: tuple[_Row, ...], read: Callable[[int, Dags], _Row], dags: Dags
) -> tuple[_Row, ...]:
    """The row whose id was asked for first: newer ones in which the digits occur must not push it off the page."""
    if not (wanted.isascii() and wanted.isdigit()):
        return rows
    try:
        found = read(int(wanted), dags)
    except NotFound:
        return rows
    others = [row for row in rows if row.id != found.id]
    return (dataclasses.replace(found, properties=()), *others)  # without properties, as the others
