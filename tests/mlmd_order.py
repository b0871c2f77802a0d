"""Asks an MLMD store in every way that has an order: `python -m tests.mlmd_order`, with its address on standard input."""

from __future__ import annotations

import json
import sys
from typing import Any

_RUNS, _OUTPUTS = 6, 5


def check(store: Any) -> None:
    """Fills an empty store, and asserts the order of what it answers."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd_pb2

    kinds = [store.put_artifact_type(mlmd_pb2.ArtifactType(name=f"Kind{number}")) for number in range(3)]
    execution_kind = store.put_execution_type(mlmd_pb2.ExecutionType(name="Gen"))
    context_kind = store.put_context_type(mlmd_pb2.ContextType(name="run"))
    contexts = [mlmd_pb2.Context(type_id=context_kind, name=f"run{number}") for number in range(3)]
    for context, id_ in zip(contexts, store.put_contexts(contexts), strict=True):
        context.id = id_
    executions, artifacts = [], []
    for _ in range(_RUNS):
        pairs = []
        for place in range(_OUTPUTS):
            artifact = mlmd_pb2.Artifact(
                type_id=kinds[place % 3], uri=f"/{place}", state=mlmd_pb2.Artifact.LIVE
            )
            artifact.custom_properties["name"].string_value = "text"
            artifact.custom_properties["span"].int_value = place
            event = mlmd_pb2.Event(type=mlmd_pb2.Event.OUTPUT)
            event.path.steps.add().key = "output"
            event.path.steps.add().index = _OUTPUTS - place  # the later, the nearer to the front
            pairs.append((artifact, event))
        execution = mlmd_pb2.Execution(type_id=execution_kind, last_known_state=mlmd_pb2.Execution.COMPLETE)
        execution.custom_properties["text"].string_value = "text"
        id_, ids, _ = store.put_execution(execution, pairs, contexts, reuse_context_if_already_exist=True)
        executions.append(id_)
        artifacts.append(ids)
    flat = [id_ for ids in artifacts for id_ in ids]

    for ask, ids in (
        (store.get_artifacts_by_id, [flat[7], flat[3], flat[7], flat[20], flat[1]]),
        (store.get_executions_by_id, [executions[4], executions[2], executions[4], executions[0]]),
        (store.get_contexts_by_id, [contexts[2].id, contexts[0].id, contexts[2].id, contexts[1].id]),
        (store.get_artifact_types_by_id, [kinds[2], kinds[0], kinds[2], kinds[1]]),
    ):
        assert [found.id for found in ask(ids)] == ids, ask
        assert [found.id for found in ask([*ids, 10**6])] == ids, "what is not there is left out"
    found, found_kinds = store.get_artifacts_and_types_by_artifact_ids(flat[::-1])
    assert [artifact.id for artifact in found] == flat[::-1]
    assert sorted(kind.id for kind in found_kinds) == [kind.id for kind in found_kinds]

    asked = [executions[3], executions[1]]
    events = [(e.execution_id, e.artifact_id) for e in store.get_events_by_execution_ids(asked)]
    assert events == [(executions[run], id_) for run in (1, 3) for id_ in reversed(artifacts[run])]
    asked = [artifacts[2][0], artifacts[0][1], artifacts[2][4]]
    events = [(e.execution_id, e.artifact_id) for e in store.get_events_by_artifact_ids(asked)]
    ordered = ((0, artifacts[0][1]), (2, artifacts[2][4]), (2, artifacts[2][0]))
    assert events == [(executions[run], id_) for run, id_ in ordered]

    for answer, ids in (
        (store.get_artifacts_by_context(contexts[1].id), flat),
        (
            store.get_artifacts_by_type("Kind1"),
            [id_ for place, id_ in enumerate(flat) if place % 5 in (1, 4)],
        ),
        (store.get_artifacts_by_uri("/3"), [ids[3] for ids in artifacts]),
        (store.get_executions_by_type("Gen"), executions),
        (store.get_contexts_by_type("run"), [context.id for context in contexts]),
        (store.get_contexts_by_execution(executions[2]), [context.id for context in contexts]),
        (store.get_contexts_by_artifact(flat[9]), [context.id for context in contexts]),
        (store.get_artifacts(), flat),
    ):
        assert [found.id for found in answer] == ids
    # TFX asks for the newest first here.
    assert {e.id for e in store.get_executions_by_context(contexts[0].id)} == set(executions)


if __name__ == "__main__":
    from include.tfx_airflow.tfx_side import mlmd

    with mlmd.open_store(json.load(sys.stdin)) as opened:
        check(opened)
