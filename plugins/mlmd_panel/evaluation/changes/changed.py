"""What `between` answers: one list of changes, what is the same, and what is not known."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.store.records import Artifact, Execution

# Kinds of changes, those first that are not expected from one run to the next.
KINDS = (
    "code", "libraries", "parameters", "hyperparameters", "schema", "anomalies", "starting_model", "data", "drift",
    "transform", "baseline_model", "nodes",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Link:
    """An artifact or execution that a change is about.

    Attributes:
      page: `artifacts` or `executions`.
      id: Its id.
      label: For people, such as `Examples #7`.
    """

    page: str
    id: int
    label: str


def of_artifact(artifact: Artifact) -> Link:
    """Link to an artifact."""
    return Link("artifacts", artifact.id, f"{artifact.display_name or artifact.type} #{artifact.id}")


def of_execution(execution: Execution) -> Link:
    """Link to an execution."""
    return Link("executions", execution.id, f"{execution.label} #{execution.id}")


@dataclasses.dataclass(frozen=True)
class Changed:
    """One thing that is not the same in the two runs.

    Attributes:
      kind: One of KINDS.
      what: A sentence without a full stop, such as "Code of Trainer (include.taxi.model) changed".
      baseline: Its value in the baseline's run; None where it has none.
      candidate: Its value in the candidate's run.
      baseline_links: What of the baseline's run it is about.
      candidate_links: What of the candidate's run it is about.
      details: By kind: DataChange, DriftOfData, SchemaChange, AnomalyChange, VocabularyChange, AnalyzerChange,
        CodeChange, ParameterChange or None.
    """

    kind: str
    what: str
    baseline: Any = None
    candidate: Any = None
    baseline_links: tuple[Link, ...] = ()
    candidate_links: tuple[Link, ...] = ()
    details: Any = None


@dataclasses.dataclass(frozen=True)
class Findings:
    """What one part of the comparison found.

    Attributes:
      items: What changed.
      same: What was compared and is equal, in short.
      unknown: Sentences about what could not be compared; unknown is never unchanged.
    """

    items: tuple[Changed, ...] = ()
    same: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class RunOf:
    """One of the two runs, as a rerun needs to know it.

    Attributes:
      dag_id: Its DAG; empty if another program wrote the run.
      run_id: Its id in Airflow, or the other program's.
      spans: Spans of the Examples that it made.
      takes_span: Its spans were chosen by the Param `span`, or can be.
      evaluated_model: Id of the Model that it judged, or None.
      baseline_model: Id of the Model that it was compared with, or None.
    """

    dag_id: str
    run_id: str
    spans: tuple[int, ...]
    takes_span: bool
    evaluated_model: int | None
    baseline_model: int | None


@dataclasses.dataclass(frozen=True)
class Changes:
    """What changed between two runs.

    Attributes:
      items: The changes, the most telling first.
      same: What was compared and is equal, in short.
      unknown: Sentences about what could not be compared.
      baseline: The baseline's run.
      candidate: The candidate's run.
    """

    items: tuple[Changed, ...]
    same: tuple[str, ...]
    unknown: tuple[str, ...]
    baseline: RunOf
    candidate: RunOf

    def of_kind(self, *kinds: str) -> tuple[Changed, ...]:
        """The changes of some kinds."""
        return tuple(item for item in self.items if item.kind in kinds)
