"""A run in one line: its state, time, data, verdict and whether its model was pushed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mlmd_panel.models import Artifact, Event, Execution, Run, RunDetail
from mlmd_panel.store import Store, run_state

_PROPERTIES = ("span", "version", "blessed", "pushed", "pushed_destination", "pushed_version")
_ENDED = ("COMPLETE", "CACHED", "FAILED", "CANCELED")


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """What lists say of a run.

    Attributes:
      run: The run.
      state: RUNNING, FAILED, COMPLETE or another state of MLMD.
      started: Milliseconds; of the first execution.
      ended: Milliseconds; of the last execution, None while one runs.
      duration: Milliseconds between the two; None while it runs.
      spans: Spans of the data that its ExampleGens made or found, ascending.
      blessed: True or False as the Evaluator decided; None when there is no decision.
      pushed: The Pusher pushed a model; None when no Pusher ran.
      evaluation: Its evaluation; None when there is none.
      failed: Nodes whose last execution failed.
    """

    run: Run
    state: str
    started: int
    ended: int | None
    duration: int | None
    spans: tuple[int, ...]
    blessed: bool | None
    pushed: bool | None
    evaluation: Artifact | None
    failed: tuple[str, ...]


def summaries(store: Store, runs: Sequence[Run]) -> list[RunSummary]:
    """Summaries of a page of runs."""
    return [summary(detail) for detail in store.run_outlines(runs, _PROPERTIES)] if runs else []


def summary(detail: RunDetail) -> RunSummary:
    """Summary of a run whose details are known."""
    latest = latest_executions(detail.executions)
    ended = [e.updated for e in detail.executions if e.state in _ENDED]
    running = any(e.state not in _ENDED for e in latest.values())
    started = min((e.created for e in detail.executions), default=detail.run.created)
    end = max(ended) if ended and not running else None
    blessing = last_output(detail, "ModelBlessing")
    pushed = last_output(detail, "PushedModel")
    evaluation = last_output(detail, "ModelEvaluation")
    return RunSummary(
        run=detail.run,
        state=run_state(detail.executions),
        started=started,
        ended=end,
        duration=end - started if end is not None else None,
        spans=_spans(detail),
        blessed=_flag(blessing, "blessed"),
        pushed=_flag(pushed, "pushed"),
        evaluation=evaluation,
        failed=tuple(e.node for e in latest.values() if e.state == "FAILED"),
    )


def latest_executions(executions: Sequence[Execution]) -> dict[str, Execution]:
    """The last execution of each node, in the order in which the nodes started first."""
    latest: dict[str, Execution] = {}
    for execution in executions:
        latest[execution.node] = execution
    return latest


def outputs(detail: RunDetail, type_name: str | None = None) -> list[tuple[Event, Artifact]]:
    """Artifacts that the run's executions made or found in the cache, in the order of the executions."""
    order = {execution.id: place for place, execution in enumerate(detail.executions)}
    found = [
        (event, detail.artifacts[event.artifact_id])
        for event in detail.events
        if event.is_output and event.artifact_id in detail.artifacts and event.execution_id in order
    ]
    found = [pair for pair in found if type_name is None or pair[1].type == type_name]
    return sorted(found, key=lambda pair: (order[pair[0].execution_id], pair[0].key, pair[0].index))


def last_output(detail: RunDetail, type_name: str) -> Artifact | None:
    """The last of the run's LIVE outputs of a type; when none lives any more the last of all."""
    found = [artifact for _, artifact in outputs(detail, type_name)]
    living = [artifact for artifact in found if artifact.state == "LIVE"]
    return (living or found or [None])[-1]


def _flag(artifact: Artifact | None, name: str) -> bool | None:
    value = artifact.property(name) if artifact else None
    return bool(value) if isinstance(value, (int, float)) else None


def _spans(detail: RunDetail) -> tuple[int, ...]:
    found = {artifact.property("span") for _, artifact in outputs(detail, "Examples")}
    return tuple(sorted(span for span in found if isinstance(span, int)))
