"""Finds in MLMD which span of data an artifact was made from, and whether it passed a gate."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

SPAN, VERSION = "span", "version"
_Event = metadata_store_pb2.Event
_Execution = metadata_store_pb2.Execution
_PASSED = (_Execution.COMPLETE, _Execution.CACHED)
# From a PushedModel: the blessing its Pusher read, the evaluation behind it, its examples. From hyper-parameters:
# the Tuner's transformed examples, the examples their Transform read.
_STEPS = 4


def number(artifact: tfx.dsl.Artifact, name: str) -> int:
    """Returns the span or version that ExampleGen recorded; 0 without one."""
    if not artifact.has_custom_property(name):
        return 0
    # TFX before 0.30 stored them as text.
    return int(artifact.get_string_custom_property(name) or artifact.get_int_custom_property(name))


def spans_behind(store: Any, artifacts: Iterable[int]) -> dict[int, int]:
    """Finds the span that each artifact was made from.

    Going upstream, the nearest step that read examples with a span decides, and of its spans the highest:
    a model's training window lies behind its evaluation, and earlier models behind that do not count.

    Args:
        store: The MLMD store; asked once per step, for all artifacts together.
        artifacts: Ids, such as those of ModelBlessings, PushedModels or HyperParameters.

    Returns:
        Span by artifact id; artifacts without a span behind them are left out.
    """
    sources: dict[int, set[int]] = {artifact: {artifact} for artifact in artifacts}
    found: dict[int, int] = {}
    for _ in range(_STEPS):
        upstream, spans = _inputs(store, {source for ids in sources.values() for source in ids})
        for artifact, ids in list(sources.items()):
            read = set().union(*(upstream.get(source, set()) for source in ids))
            known = [spans[source] for source in read if source in spans]
            if known:
                found[artifact] = max(known)
            if known or not read:
                del sources[artifact]
            else:
                sources[artifact] = read
    return found


def passed(store: Any, artifacts: Collection[int], gate: str) -> set[int]:
    """Finds the artifacts that were read by an execution of the gate that then succeeded.

    Args:
        store: The MLMD store.
        artifacts: Ids of the candidates.
        gate: Name of an execution type, such as that of AnomalyGate; empty: all pass.

    Returns:
        Their ids.
    """
    if not gate or not artifacts:
        return set(artifacts)
    events = store.get_events_by_artifact_ids(sorted(artifacts))
    read = [event for event in events if event.type == metadata_store_pb2.Event.INPUT]
    executions = store.get_executions_by_id(sorted({event.execution_id for event in read}))
    gates = {e.id for e in executions if e.type == gate and e.last_known_state in _PASSED}
    return {event.artifact_id for event in read if event.execution_id in gates}


def _inputs(store: Any, artifacts: set[int]) -> tuple[dict[int, set[int]], dict[int, int]]:
    """What the executions read that made each artifact, and the spans of the examples among it."""
    if not artifacts:
        return {}, {}
    if hasattr(store, "read_for"):  # the store of a node on Airflow
        read = store.read_for(artifacts)
    else:
        read = _read_for(store, artifacts)
    spans = {
        source: int(span) for sources in read.values() for source, span in sources.items() if span is not None
    }
    return {artifact: set(sources) for artifact, sources in read.items()}, spans


def _read_for(store: Any, artifacts: set[int]) -> dict[int, dict[int, int | str | None]]:
    """As the store of a node on Airflow answers it in one query."""
    made: dict[int, set[int]] = {}
    for event in store.get_events_by_artifact_ids(sorted(artifacts)):
        if event.type == _Event.OUTPUT:
            made.setdefault(event.execution_id, set()).add(event.artifact_id)
    read: dict[int, set[int]] = {}
    for event in store.get_events_by_execution_ids(sorted(made)) if made else ():
        if event.type == _Event.INPUT:
            for artifact in made[event.execution_id]:
                read.setdefault(artifact, set()).add(event.artifact_id)
    ids = sorted({source for sources in read.values() for source in sources})
    spans = {
        artifact.id: artifact.custom_properties[SPAN].string_value
        or artifact.custom_properties[SPAN].int_value
        for artifact in (store.get_artifacts_by_id(ids) if ids else ())
        if artifact.type == "Examples" and SPAN in artifact.custom_properties
    }
    return {artifact: {source: spans.get(source) for source in sources} for artifact, sources in read.items()}
