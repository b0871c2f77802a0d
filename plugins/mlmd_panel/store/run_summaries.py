"""Summarizes a run in one line: state, times, spans, verdict, and whether its model was pushed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from mlmd_panel.store.records import Artifact, Event, Execution, Run, RunDetail
from mlmd_panel.store.store import Store, run_state

EVALUATION, BLESSING, PUSHED, EXAMPLES = "ModelEvaluation", "ModelBlessing", "PushedModel", "Examples"
# What `summary` looks at: types of artifacts, and their properties.
TYPES = (EVALUATION, BLESSING, PUSHED, EXAMPLES)
PROPERTIES = ("span", "version", "blessed", "decides", "pushed", "pushed_destination", "pushed_version")


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """Summary of a run or of one of its branches.

    Attributes:
      run: The run.
      state: RUNNING, FAILED, COMPLETE or another state of MLMD.
      started: Start of the first execution, in milliseconds.
      ended: End of the last execution, in milliseconds; None if one is running or its end is not known.
      duration: Milliseconds between the two; None if `ended` is.
      spans: Spans of the Examples that it produced or found in the cache, ascending.
      blessed: The decision on its model; None without one. With several branches, whether all are blessed.
      pushed: Whether a Pusher pushed a model; None if none ran. With several branches, whether all did.
      evaluation: Its evaluation; None if there is none, or if each branch has its own.
      failed: Nodes whose last execution failed; tasks in task groups.
      name: Task group and map index, or Evaluator, of a branch.
      branches: Branches of a run that contains a pipeline several times, or has several Evaluators.
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
    name: str = ""
    branches: tuple[RunSummary, ...] = ()

    @property
    def each(self) -> tuple[RunSummary, ...]:
        """The branches, or the run itself when it has none."""
        return self.branches or (self,)


def evaluated(store: Store, runs: Sequence[Run]) -> list[Run]:
    """Those of some runs that have an evaluation, in their order."""
    return store.with_output(runs, EVALUATION) if runs else []


def summaries(store: Store, runs: Sequence[Run]) -> list[RunSummary]:
    """Summaries of a page of runs."""
    return [summary(detail) for detail in store.run_outlines(runs, PROPERTIES, TYPES)] if runs else []


def summary(detail: RunDetail) -> RunSummary:
    """Summary of a run whose details are known."""
    branches = branches_of(detail)
    if len(branches) < 2:
        return _summary(detail, "")
    each = tuple(_summary(branch, name) for name, branch in branches.items())
    return dataclasses.replace(
        _summary(detail, ""),
        blessed=_all(one.blessed for one in each),
        pushed=_all(one.pushed for one in each),
        evaluation=None,
        branches=each,
    )


def branches_of(detail: RunDetail) -> dict[str, RunDetail]:
    """The branches of a run by name; empty if it has fewer than two.

    A run has branches if it contains a pipeline several times, in task groups or mapped ones, or has several
    Evaluators. Executions outside of all branches, such as an ExampleGen before the task groups, are left out.
    """
    groups: dict[str, list[Execution]] = {}
    for execution in detail.executions:
        groups.setdefault(execution.branch, []).append(execution)
    by_id = {execution.id: execution for execution in detail.executions}
    evaluating = [by_id[event.execution_id] for event, _ in outputs(detail, EVALUATION)]
    evaluators = {execution.instance: execution for execution in evaluating}
    repeated = _repeated(groups)
    kept = [
        group for group in groups if group in repeated or group in {e.branch for e in evaluators.values()}
    ]
    found: dict[str, RunDetail] = {}
    for group in kept:
        name = (group or "no task group") if len(kept) > 1 else ""
        mine = {instance: e for instance, e in evaluators.items() if e.branch == group}
        if len(mine) < 2:
            found[name] = _part(detail, groups[group])
            continue
        for instance, evaluator in mine.items():
            others = mine.keys() - {instance}
            part = _part(detail, [e for e in groups[group] if e.instance not in others])
            found[f"{name} {evaluator.node or evaluator.label}".strip()] = part
    return found if len(found) > 1 else {}


def _repeated(groups: dict[str, list[Execution]]) -> set[str]:
    """Groups that share a node with another group."""
    nodes = {group: {execution.node for execution in some} for group, some in groups.items()}
    return {
        group
        for group, mine in nodes.items()
        if any(mine & theirs for other, theirs in nodes.items() if other != group)
    }


def _part(detail: RunDetail, executions: Sequence[Execution]) -> RunDetail:
    ids = {execution.id for execution in executions}
    events = tuple(event for event in detail.events if event.execution_id in ids)
    used = {event.artifact_id for event in events}
    artifacts = {id_: artifact for id_, artifact in detail.artifacts.items() if id_ in used}
    return RunDetail(detail.run, tuple(executions), events, artifacts)


def _summary(detail: RunDetail, name: str) -> RunSummary:
    latest = latest_executions(detail.executions)
    ended = [e.updated for e in detail.executions if e.has_ended]
    running = any(not e.has_ended for e in latest)
    started = min((e.created for e in detail.executions), default=detail.run.created)
    end = max(ended) if ended and not running else None
    return RunSummary(
        run=detail.run,
        state=run_state(detail.executions),
        started=started,
        ended=end,
        duration=end - started if end is not None else None,
        spans=_spans(detail),
        blessed=_flag(deciding_blessing(detail), "blessed"),
        pushed=_flag(last_output(detail, PUSHED), "pushed"),
        evaluation=last_output(detail, EVALUATION),
        failed=tuple(e.label for e in latest if e.state == "FAILED"),
        name=name,
    )


def _all(values: Iterable[bool | None]) -> bool | None:
    known = list(values)
    return False if False in known else None if None in known else True


def latest_executions(executions: Sequence[Execution]) -> list[Execution]:
    """The last attempt of each task instance or node, in the order in which they started first."""
    latest: dict[tuple, Execution] = {}
    for execution in executions:
        latest[execution.instance] = execution
    return list(latest.values())


def outputs(detail: RunDetail, type_name: str | None = None) -> list[tuple[Event, Artifact]]:
    """Artifacts that the run's executions produced or found in the cache, in the order of the executions."""
    order = {execution.id: place for place, execution in enumerate(detail.executions)}
    found = [
        (event, detail.artifacts[event.artifact_id])
        for event in detail.events
        if event.is_output and event.artifact_id in detail.artifacts and event.execution_id in order
    ]
    found = [pair for pair in found if type_name is None or pair[1].type == type_name]
    return sorted(found, key=lambda pair: (order[pair[0].execution_id], pair[0].key, pair[0].index))


def last_output(detail: RunDetail, type_name: str) -> Artifact | None:
    """The last LIVE output of a type; the last of all if none is LIVE."""
    found = [artifact for _, artifact in outputs(detail, type_name)]
    living = [artifact for artifact in found if artifact.state == "LIVE"]
    chosen = living or found
    return chosen[-1] if chosen else None


def deciding_blessing(detail: RunDetail) -> Artifact | None:
    """The blessing that decided whether the model is pushed.

    Gates beside the Evaluator say by their blessings' property `decides` whether they decided or only recorded a
    verdict; TFMA's own has no such property.
    """
    found = [artifact for _, artifact in outputs(detail, BLESSING)]
    said = [artifact for artifact in found if artifact.property("decides") == 1]
    chosen = said or [artifact for artifact in found if artifact.property("decides") is None]
    living = [artifact for artifact in chosen if artifact.state == "LIVE"]
    return next(reversed(living or chosen), None)


def _flag(artifact: Artifact | None, name: str) -> bool | None:
    value = artifact.property(name) if artifact else None
    return bool(value) if isinstance(value, (int, float)) else None


def _spans(detail: RunDetail) -> tuple[int, ...]:
    found = {artifact.property("span") for _, artifact in outputs(detail, EXAMPLES)}
    return tuple(sorted(span for span in found if isinstance(span, int)))
