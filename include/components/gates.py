"""Which artifacts a gate has let pass."""

from __future__ import annotations

from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

_Execution = metadata_store_pb2.Execution
_PASSED = (_Execution.COMPLETE, _Execution.CACHED)


def passed(store: Any, artifacts: list[tfx.dsl.Artifact], gate: str) -> set[int]:
    """Finds the artifacts that were read by an execution of the gate that then succeeded.

    Args:
        store: The MLMD store.
        artifacts: Candidates.
        gate: Name of an execution type, such as that of AnomalyGate; empty: all pass.

    Returns:
        Their ids.
    """
    if not gate or not artifacts:
        return {artifact.id for artifact in artifacts}
    events = store.get_events_by_artifact_ids([artifact.id for artifact in artifacts])
    read = [event for event in events if event.type == metadata_store_pb2.Event.INPUT]
    executions = store.get_executions_by_id(sorted({event.execution_id for event in read}))
    gates = {e.id for e in executions if e.type == gate and e.last_known_state in _PASSED}
    return {event.artifact_id for event in read if event.execution_id in gates}
