"""The list of runs, each with its verdict and chosen metrics, for the page, its JSON and CSV and the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from mlmd_panel.evaluation import key_metrics
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.run_summaries import summaries
from mlmd_panel.store.store import Dags, Store


def run_list(
    store: Store,
    files: Files,
    dags: Dags,
    wanted: RunFilter,
    metrics: Sequence[str],
    limit: int,
    after: int | None = None,
) -> dict[str, Any]:
    """A page of runs, newest first, as its JSON has it.

    Args:
      store: The store.
      files: Where evaluations are read from.
      dags: DAGs the user may read; None means all.
      wanted: Which runs.
      metrics: Names of metrics; () for those with thresholds, else the usual ones.
      limit: Most rows.
      after: Only runs older than the one with this id.
    """
    with store.connected() as connected:
        page = connected.runs(wanted, dags, limit=limit, after=after)
        rows = summaries(connected, page.rows)
    table = key_metrics.of_runs(files, [branch for row in rows for branch in row.each], metrics)
    return {
        "filter": dataclasses.asdict(wanted),
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
    }
