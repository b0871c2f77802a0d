"""The columns of the lists of runs, executions and artifacts as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlmd_panel.csv_text import csv_text
from mlmd_panel.formats import utc


def table(name: str, data: Mapping[str, Any]) -> str:
    """The rows of the list `runs`, `executions` or `artifacts` that a view gave."""
    header, rows = {"runs": _runs, "executions": _executions, "artifacts": _artifacts}[name](data)
    return csv_text(header, rows)


def _runs(data: Mapping[str, Any]) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    names = data["metrics"]
    header = [
        "id",
        "pipeline",
        "dag_id",
        "run_id",
        "branch",
        "state",
        "started",
        "ended",
        "duration_ms",
        "spans",
        "blessed",
        "pushed",
    ]
    return [*header, *names], (
        [
            row["summary"].run.id,
            row["summary"].run.pipeline,
            row["summary"].run.dag_id,
            row["summary"].run.run_id,
            row["summary"].name,
            row["summary"].state,
            utc(row["summary"].started),
            utc(row["summary"].ended),
            row["summary"].duration,
            " ".join(map(str, row["summary"].spans)),
            row["summary"].blessed,
            row["summary"].pushed,
            *(row["metrics"].get(name) for name in names),
        ]
        for run in data["runs"]
        for row in (run, *run["branches"])
    )


def _executions(data: Mapping[str, Any]) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    header = [
        "id",
        "type",
        "node",
        "state",
        "created",
        "updated",
        "run",
        "dag_id",
        "run_id",
        "task_id",
        "map_index",
        "try_number",
    ]
    return header, (
        [
            e.id,
            e.type,
            e.node or e.given_name,
            e.state,
            utc(e.created),
            utc(e.updated),
            e.run.id if e.run else None,
            e.run.dag_id if e.run else None,
            e.run.run_id if e.run else None,
            e.task.task_id if e.task else None,
            e.task.map_index if e.task else None,
            e.task.try_number if e.task else None,
        ]
        for e in data["executions"]
    )


def _artifacts(data: Mapping[str, Any]) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    header = ["id", "type", "name", "state", "uri", "created", "updated"]
    return header, (
        [a.id, a.type, a.name, a.state, a.uri, utc(a.created), utc(a.updated)] for a in data["artifacts"]
    )
