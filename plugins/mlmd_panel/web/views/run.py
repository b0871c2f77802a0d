"""The page of a run."""

from __future__ import annotations

from collections import Counter

from mlmd_panel.errors import NotFound, PayloadError
from mlmd_panel.evaluation import key_metrics, reports
from mlmd_panel.evaluation.baseline import Before, before
from mlmd_panel.evaluation.diff import Options, diff
from mlmd_panel.payloads.evaluation import evaluation
from mlmd_panel.store.records import Artifact, Lineage, RunDetail
from mlmd_panel.store.run_summaries import RunSummary, latest_executions, outputs, summary
from mlmd_panel.web import graph_layout
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.choices import Names
from mlmd_panel.web.forest_scales import scales
from mlmd_panel.web.request import Id, Visit, Visiting

# Of the comparison with the last blessed run.
MAX_ROWS = 5


def run(
    visit: Visiting,
    id: Id,
    metrics: Names = [],  # noqa: B006 - FastAPI copies it
) -> Answer:
    """A run: its nodes with state and time, their artifacts, its verdict, key metrics and lineage."""
    with visit.store.connected() as store:
        found = store.run(id, visit.dags)
        (detail,) = store.run_details([found], None)
        row = summary(detail)
        earlier = before(store, visit.dags, row)
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
    compared = _against_baseline(visit, row, earlier)
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
            "earlier": {
                "previous": earlier.previous and earlier.previous.run,
                "blessed": earlier.blessed and earlier.blessed.run,
            },
            "diff": reports.as_json(compared["diff"], compared["rows"]) if compared["diff"] else None,
            "diff_problem": compared["problem"],
        },
        {"picture": graph_layout.picture(graph), "asked": metrics, "compared": compared},
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


def _against_baseline(visit: Visit, row: RunSummary, earlier: Before) -> dict:
    """The evaluation beside that of the last blessed run before: the sentence and the worst rows."""
    found: dict = {"diff": None, "rows": (), "scales": {}, "note": "", "problem": None, "url": ""}
    if row.evaluation is None:
        return found
    chosen = earlier.last_blessed()
    if chosen.run is None:
        return {**found, "problem": f"{chosen.note} There is nothing to compare this one with."}
    try:
        read = diff(visit.store, visit.panel.files, visit.dags, chosen, row, Options(changes=False))
    except (NotFound, PayloadError) as error:
        return {**found, "problem": f"Not compared with {chosen.run.run.label}: {error}"}
    rows = read.comparison.rows[:MAX_ROWS]
    branch = {"candidate_branch": row.name, "baseline_branch": chosen.run.name} if row.name else {}
    # By its id: the page alone would take a pinned baseline.
    url = visit.urls.to("compare", candidate=row.run.id, baseline=chosen.run.run.id, **branch)
    return {**found, "diff": read, "rows": rows, "scales": scales(rows), "note": chosen.note, "url": url}
