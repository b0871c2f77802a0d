"""The list of pipelines."""

from __future__ import annotations

from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.run_summaries import summaries
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.request import Visiting

# Pipelines whose latest run is read.
MAX_LATEST = 100


def pipelines(visit: Visiting) -> Answer:
    """All pipelines, each with its latest run."""
    with visit.store.connected() as store:
        found = store.pipelines(visit.dags)
        latest = [pipeline.latest for pipeline in found[:MAX_LATEST] if pipeline.latest]
        latest_runs = {summary.run.id: summary for summary in summaries(store, latest)}
    rows = [
        {"pipeline": pipeline, "latest": latest_runs.get(pipeline.latest.id) if pipeline.latest else None}
        for pipeline in found
    ]
    left_out = sum(pipeline.latest is not None for pipeline in found[MAX_LATEST:])
    others = not rows and bool(visit.store.runs(RunFilter(), visit.dags, limit=1).rows)
    return Answer(
        "pipelines.html",
        "Pipelines",
        {"pipelines": rows, "latest_left_out": left_out},
        {"runs_without": others, "most": MAX_LATEST},
    )
