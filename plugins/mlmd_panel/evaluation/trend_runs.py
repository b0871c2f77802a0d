"""Runs as trends show them: with the models that their evaluations compare, and their statistics."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.records import Artifact, Run, RunDetail
from mlmd_panel.store.run_summaries import PROPERTIES, RunSummary, branches_of, last_output, outputs, summary
from mlmd_panel.store.store import Dags, Store

# TFX writes the splits of statistics there.
_PROPERTIES = (*PROPERTIES, "split_names")


@dataclasses.dataclass(frozen=True)
class TrendRun:
    """A run, or a branch of one.

    Attributes:
      summary: Its summary.
      model: Id of the Model that its evaluation judges; None where MLMD has no record of it.
      baseline: Id of the Model that this is compared with.
      statistics: Its ExampleStatistics, or None.
    """

    summary: RunSummary
    model: int | None
    baseline: int | None
    statistics: Artifact | None

    @property
    def line(self) -> tuple[str, str]:
        """Pipeline and branch, which a line of a chart belongs to."""
        return self.summary.run.pipeline or self.summary.run.dag_id, self.summary.name


def last_runs(store: Store, dags: Dags, pipelines: Sequence[str], count: int) -> list[TrendRun]:
    """The last runs of some pipelines, oldest first; up to `count` of each."""
    found: list[Run] = []
    for name in dict.fromkeys(pipelines):
        found += store.runs(RunFilter(pipeline=name), dags, limit=count).rows
    details = store.run_details(found, _PROPERTIES) if found else []
    rows = [row for detail in details for row in _of_detail(detail)]
    return sorted(rows, key=lambda row: (row.summary.started, row.summary.run.id, row.summary.name))


def _of_detail(detail: RunDetail) -> list[TrendRun]:
    found = summary(detail)
    parts: Mapping[str, RunDetail] = branches_of(detail) or {"": detail}
    inside = {execution.id for part in parts.values() for execution in part.executions}
    # What comes before the task groups is all branches' own.
    shared = [
        artifact
        for event, artifact in outputs(detail, "ExampleStatistics")
        if event.execution_id not in inside
    ]
    return [_of(row, parts.get(row.name, detail), shared[-1] if shared else None) for row in found.each]


def _of(row: RunSummary, part: RunDetail, shared: Artifact | None) -> TrendRun:
    model = baseline = None
    if row.evaluation is not None:
        makers = {e.execution_id for e in part.events if e.artifact_id == row.evaluation.id and e.is_output}
        read = {e.key: e.artifact_id for e in part.events if e.execution_id in makers and e.is_input}
        model, baseline = read.get("model"), read.get("baseline_model")
    return TrendRun(row, model, baseline, last_output(part, "ExampleStatistics") or shared)
