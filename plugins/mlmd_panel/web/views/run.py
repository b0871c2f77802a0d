"""The page of a run."""

from __future__ import annotations

from collections import Counter

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation import key_metrics
from mlmd_panel.payloads.evaluation import evaluation
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.records import Artifact, Lineage, RunDetail
from mlmd_panel.store.run_summaries import latest_executions, outputs, summaries, summary
from mlmd_panel.web import graph_layout
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.choices import Names
from mlmd_panel.web.request import Id, Visit, Visiting


def run(
    visit: Visiting,
    id: Id,
    metrics: Names = [],  # noqa: B006 - FastAPI copies it
) -> Answer:
    """A run: its nodes with state and time, their artifacts, its verdict, key metrics and lineage."""
    found = visit.store.run(id, visit.dags)
    (detail,) = visit.store.run_details([found], None)
    row = summary(detail)
    table = key_metrics.of_runs(visit.panel.files, row.each, metrics)
    read, problem = _evaluation(visit, row.evaluation)
    branches = []
    for branch in row.branches:
        branch_read, branch_problem = _evaluation(visit, branch.evaluation)
        branches.append(
            {
                "summary": branch,
                "metric_values": table.of(branch),
                "metrics_problem": table.problem_of(branch),
                "models": branch_read.candidates if branch_read else (),
                "verdict": branch_read.validation if branch_read else None,
                "verdict_problem": branch_problem,
            }
        )
    graph = Lineage({e.id: e for e in detail.executions}, detail.artifacts, detail.events, False)
    return Answer(
        "run.html",
        found.label,
        {
            "summary": row,
            "nodes": nodes_of(detail),
            "metrics": table.names,
            "available_metrics": table.available,
            "unknown_metrics": table.unknown,
            "metrics_left_out": table.left_out,
            "metrics_problem": table.problem_of(row),
            "metric_values": table.of(row),
            "models": read.candidates if read else (),
            "verdict": read.validation if read else None,
            "verdict_problem": problem,
            "branches": branches,
            "earlier": _earlier(visit, detail),
        },
        {"picture": graph_layout.picture(graph), "asked": metrics},
    )


def nodes_of(detail: RunDetail) -> list[dict]:
    """Each task instance or node of a run with its last execution, number of attempts, and artifacts by channel."""
    made: dict[int, list] = {}
    for event, artifact in outputs(detail):
        made.setdefault(event.execution_id, []).append({"key": event.key, "artifact": artifact})
    attempts = Counter(execution.instance for execution in detail.executions)
    return [
        {
            "node": execution.node,
            "execution": execution,
            "attempts": attempts[execution.instance],
            "started": execution.created,
            "ended": execution.updated if execution.has_ended else None,
            "outputs": made.get(execution.id, []),
        }
        for execution in latest_executions(detail.executions)
    ]


def _evaluation(
    visit: Visit, artifact: Artifact | None
) -> tuple[evaluation.EvaluationPayload | None, str | None]:
    """The evaluation with its verdict, and why it, or a part of it, cannot be shown."""
    if artifact is None:
        return None, None
    try:
        read = evaluation.read(artifact, visit.panel.files, parts=("validation",))
    except PayloadError as error:
        return None, str(error)
    return read, next(iter(read.problems), None)


def _earlier(visit: Visit, detail: RunDetail) -> dict:
    """Earlier runs of the pipeline to compare with: the previous one, and the last with a blessed model."""
    previous, after = None, detail.run.id
    if not detail.run.pipeline:
        return {"previous": None, "blessed": None}
    for limit in (4, 16):  # most often one of the first few was blessed, and few rows are read fast
        page = visit.store.runs(RunFilter(pipeline=detail.run.pipeline), visit.dags, limit=limit, after=after)
        rows = [row for row in summaries(visit.store, page.rows) if any(one.evaluation for one in row.each)]
        previous = previous or next((row.run for row in rows), None)
        blessed = next((row.run for row in rows if row.blessed), None)
        if blessed or page.after is None:
            return {"previous": previous, "blessed": blessed}
        after = page.after
    return {"previous": previous, "blessed": None}
