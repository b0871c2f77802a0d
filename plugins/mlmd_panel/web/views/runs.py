"""The list of runs."""

from __future__ import annotations

import dataclasses

from mlmd_panel.evaluation import key_metrics
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.run_summaries import summaries
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
    page = visit.store.runs(chosen, visit.dags, limit=limit, after=after)
    rows = summaries(visit.store, page.rows)
    each = [branch for row in rows for branch in row.each]
    table = key_metrics.of_runs(visit.panel.files, each, metrics)
    return Answer(
        "runs.html",
        "Runs",
        {
            "filter": dataclasses.asdict(chosen),
            "metrics": table.names,
            "available_metrics": table.available,
            "unknown_metrics": table.unknown,
            "metrics_left_out": table.left_out,
            "runs": [
                {
                    "summary": row,
                    "metrics": table.of(row),
                    "metrics_problem": table.problem_of(row),
                    "branches": [{"summary": branch, "metrics": table.of(branch)} for branch in row.branches],
                }
                for row in rows
            ],
            "after": page.after,
            "searched_to": page.searched_to,
        },
        {
            "asked": metrics,
            "trends": {
                name: [table.of(row).get(name) for row in reversed(rows)]
                for name in table.names
                if all(not row.branches for row in rows)
            },
            "types": visit.store.run_types(),
        },
    )
