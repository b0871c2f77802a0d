"""Folders that killed attempts have left: of an execution that failed, and of no artifact."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.tfx_side.retention import files, overlap
from include.tfx_airflow.tfx_side.retention.graph import Execution, Graph
from include.tfx_airflow.tfx_side.retention.places import LeftAlone, Place, Places, is_place, pipeline_root
from include.tfx_airflow.tfx_side.retention.roots import DAY

_Execution = metadata_store_pb2.Execution
_FAILED = (_Execution.FAILED, _Execution.CANCELED)
_SYSTEM = ".system"
_WORK = ("executor_execution", "driver_execution")  # which TFX empties itself, unless it is killed
_CLOCKS = 3600  # seconds by which a file server's clock may be wrong


def orphans(graph: Graph, places: Places, home: str, now: float) -> dict[Place, str]:
    """Finds folders to set aside.

    A folder must be as old as its execution: another store may have been used with the same pipeline root, whose
    executions have the same ids.

    Args:
      graph: Of the store.
      places: What may be touched.
      home: Below which pipelines without a root of their own have theirs.
      now: Seconds since the epoch.

    Returns:
      Why each folder is one.
    """
    known = overlap.Paths({a.id: places.real(a.uri) for a in graph.artifacts.values() if is_place(a.uri)})
    ended: dict[tuple[str, str], dict[str, Execution]] = defaultdict(dict)
    for execution in graph.executions.values():
        if not execution.is_running and execution.updated < (now - DAY) * 1000:
            for pipeline in execution.pipelines:
                for node in execution.nodes:
                    ended[pipeline, node][str(execution.id)] = execution
    roots = pipeline_roots(graph, home)
    found = {}
    for (pipeline, node), executions in ended.items():
        for root in filter(places.has, roots[pipeline]):
            for path, execution in _folders(f"{root}/{node}", executions):
                with contextlib.suppress(LeftAlone):
                    place = places.at(root, path)
                    if not known.sharing(places.real(path)) and _is_of(path, execution, now):
                        found[place] = f"execution {execution.id} has left it"
    return found


def pipeline_roots(graph: Graph, home: str) -> dict[str, set[str]]:
    """Pipeline roots by pipeline: those that its artifacts show, and the one it has by default."""
    found: dict[str, set[str]] = {}
    for execution in graph.executions.values():
        for pipeline in execution.pipelines:
            found.setdefault(pipeline, {f"{home}/pipelines/{pipeline}"})
    for artifact in graph.artifacts.values():
        for maker in graph.makers(artifact.id):
            root = pipeline_root(artifact.uri, maker.id, maker.nodes)
            for pipeline in maker.pipelines if is_place(root) else ():
                found[pipeline].add(root)
    return found


def _folders(node: str, executions: Mapping[str, Execution]) -> Iterator[tuple[str, Execution]]:
    for key in files.names(node):
        if key == _SYSTEM:
            for work in _WORK:
                for name in files.names(f"{node}/{_SYSTEM}/{work}"):
                    if name in executions:
                        yield f"{node}/{_SYSTEM}/{work}/{name}", executions[name]
            continue
        for name in files.names(f"{node}/{key}"):
            if name in executions and executions[name].state in _FAILED:
                yield f"{node}/{key}/{name}", executions[name]


def _is_of(path: str, execution: Execution, now: float) -> bool:
    """Whether everything in a folder was written when the execution was at work, more than a day ago."""
    times = files.times(path)
    earliest = execution.created / 1000 - _CLOCKS
    latest = min(execution.updated / 1000 + DAY, now - DAY)
    return bool(times) and earliest <= min(times) and max(times) <= latest
