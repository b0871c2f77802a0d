"""The list of runs."""

from __future__ import annotations

from mlmd_panel.evaluation.run_list import run_list
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.choices import Names
from mlmd_panel.web.request import Cursor, Limit, Text, Time, Visiting


def runs(
    visit: Visiting,
    pipeline: Text = None,
    dag_id: Text = None,
    state: Text = None,
    since: Time = None,
    until: Time = None,
    text: Text = None,
    type: Text = None,
    metrics: Names = [],  # noqa: B006 - FastAPI copies it
    after: Cursor = None,
    limit: Limit = 25,
) -> Answer:
    """Runs, newest first, each with its state, duration, span, verdict, push and chosen metrics."""
    chosen = RunFilter(
        pipeline=pipeline or "",
        dag_id=dag_id or "",
        state=state or "",
        since=since,
        until=until,
        text=text or "",
        type=type or "",
    )
    data = run_list(visit.store, visit.panel.files, visit.dags, chosen, metrics, limit, after)
    rows = data["runs"]
    return Answer(
        "runs.html",
        "Runs",
        data,
        {
            "asked": metrics,
            "trends": {
                name: [row["metrics"].get(name) for row in reversed(rows)]
                for name in data["metrics"]
                if all(not row["branches"] for row in rows)
            },
            "types": visit.store.run_types(visit.dags),
        },
    )
