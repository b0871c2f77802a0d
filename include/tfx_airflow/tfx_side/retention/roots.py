"""What is kept for its own sake, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.tfx_side.retention.graph import PINNED, Execution, Graph

DAY = 86_400
# Between two nodes of a run at work none may be RUNNING: the scheduler is busy, or a person approves.
_AT_WORK_DAYS = 1


def roots(graph: Graph, keep: Keep, now: float) -> dict[int, str]:
    """Artifacts that are kept for their own sake.

    Args:
      graph: Of the store.
      keep: What to keep.
      now: Seconds since the epoch.

    Returns:
      Why each is kept; the first reason that holds.
    """
    found: dict[int, str] = {}
    for id_, value in graph.properties.get(PINNED, {}).items():
        if value and id_ in graph.artifacts:
            found.setdefault(id_, "it is pinned")
    for id_, reason in (
        *_of_running(graph),
        *_of_runs(graph, keep, now),
        *_pushed(graph, keep.pushed),
        *_blessed(graph, keep.blessed),
        *_young(graph, keep.days, now),
    ):
        found.setdefault(id_, reason)
    return found


def _of_running(graph: Graph) -> Iterator[tuple[int, str]]:
    for execution in graph.executions.values():
        if execution.is_running:
            for event in graph.of_execution.get(execution.id, ()):
                yield event.artifact, f"execution {execution.id}, which uses it, is running"


def _of_runs(graph: Graph, keep: Keep, now: float) -> Iterator[tuple[int, str]]:
    members: dict[int, list[Execution]] = defaultdict(list)
    for execution in graph.executions.values():
        for run in execution.runs:
            members[run].append(execution)
    newest = _newest_runs(members, keep.runs)
    for run, executions in members.items():
        reason = _at_work(executions, now)
        if not reason and run in newest:
            reason = f"its run is one of the pipeline's newest {keep.runs}"
        for execution in executions if reason else ():
            for event in graph.of_execution.get(execution.id, ()):
                yield event.artifact, reason


def _newest_runs(members: Mapping[int, Iterable[Execution]], most: int) -> set[int]:
    """Of each pipeline those with the latest executions."""
    latest: dict[str, dict[int, int]] = defaultdict(dict)
    for run, executions in members.items():
        for execution in executions:
            for pipeline in execution.pipelines:
                latest[pipeline][run] = max(latest[pipeline].get(run, 0), execution.id)
    return {
        run
        for runs in latest.values()
        for run in sorted(runs, key=lambda run: runs[run], reverse=True)[:most]
    }


def _at_work(executions: Iterable[Execution], now: float) -> str:
    """Why a run counts as at work; "" if it does not."""
    since = (now - _AT_WORK_DAYS * DAY) * 1000
    if any(execution.is_running for execution in executions):
        return "its run is at work"
    if any(max(execution.created, execution.updated) >= since for execution in executions):
        return "its run was at work less than a day ago"
    return ""


def _pushed(graph: Graph, most: int | None) -> Iterator[tuple[int, str]]:
    pushes = [
        artifact.id
        for artifact in graph.artifacts.values()
        if artifact.type == "PushedModel" and graph.number("pushed", artifact.id)
    ]
    for push in _newest(graph, pushes, most):
        yield push, "it was pushed"
        for execution in graph.makers(push):
            for artifact in graph.inputs(execution.id):
                yield artifact, f"it was pushed as artifact {push}, or read for that"


def _blessed(graph: Graph, most: int | None) -> Iterator[tuple[int, str]]:
    by = {
        model: blessing
        for blessing, models in sorted(graph.judged.items())
        if graph.artifacts[blessing].type == "ModelBlessing" and graph.number("blessed", blessing)
        for model in models
    }
    for model in _newest(graph, by, most):
        yield model, f"it was blessed as artifact {by[model]}"
        yield by[model], f"it blesses artifact {model}"


def _newest(graph: Graph, artifacts: Iterable[int], most: int | None) -> set[int]:
    """The newest of each pipeline; those of no pipeline all."""
    if most is None:
        return set(artifacts)
    by_pipeline: dict[str, set[int]] = defaultdict(set)
    found = set()
    for id_ in artifacts:
        pipelines = {name for execution in graph.makers(id_) for name in execution.pipelines}
        if not pipelines:
            found.add(id_)
        for name in pipelines:
            by_pipeline[name].add(id_)
    for ids in by_pipeline.values():
        found.update(sorted(ids)[-most:])
    return found


def _young(graph: Graph, days: float, now: float) -> Iterator[tuple[int, str]]:
    since = (now - days * DAY) * 1000
    for artifact in graph.artifacts.values():
        used = max((event.time for event in graph.of_artifact.get(artifact.id, ())), default=0)
        if max(artifact.created, used) > since:
            yield artifact.id, f"it was made or used less than {days:g} days ago"
