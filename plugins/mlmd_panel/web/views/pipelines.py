"""The list of pipelines."""

from __future__ import annotations

from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.run_summaries import summaries
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.request import Visiting


def pipelines(visit: Visiting) -> Answer:
    """All pipelines, each with its latest run."""
    with visit.store.connected() as store:
        found = store.pipelines(visit.dags)
        latest = [pipeline.latest for pipeline in found[:100] if pipeline.latest]
        latest_runs = {summary.run.id: summary for summary in summaries(store, latest)}
    rows = [
        {"pipeline": pipeline, "latest": latest_runs.get(pipeline.latest.id) if pipeline.latest else None}
        for pipeline in found
    ]
    others = not rows and bool(visit.store.runs(RunFilter(), visit.dags, limit=1).rows)
    return Answer("pipelines.html", "Pipelines", {"pipelines": rows}, {"runs_without": others})
