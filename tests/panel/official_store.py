"""`python -m tests.panel.official_store <what>`, in the TFX interpreter: writes a store, says what ml_metadata reads of it.

The address comes as JSON on standard input, the answer goes to standard output.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import ml_metadata
from google.protobuf import any_pb2, duration_pb2
from ml_metadata.proto import metadata_store_pb2 as pb

from include.tfx_airflow.contract import mlmd_facts
from include.tfx_airflow.tfx_side.mlmd import mlmd_store, setup

_LONG = "wörter 日本 🎈 \\ \"'`% _\n\t{}" * 20


def everything(store: ml_metadata.MetadataStore, kind: str) -> None:
    """One of each: kinds of properties, states, kinds of events, paths, contexts and their parents."""
    kinds = {"int": pb.INT, "double": pb.DOUBLE, "string": pb.STRING, "bool": pb.BOOLEAN}
    kinds.update(struct=pb.STRUCT, proto=pb.PROTO)
    artifact_type = store.put_artifact_type(pb.ArtifactType(name="Thing", properties=kinds))
    execution_type = store.put_execution_type(pb.ExecutionType(name="a.b.component.Maker", properties=kinds))
    artifacts = []
    for number, state in enumerate(pb.Artifact.State.values()):
        made = pb.Artifact(type_id=artifact_type, uri=f"/srv/\\thing/{number}/ü", state=state)
        if number % 2:
            made.name = f"name {number} \\ ü"
        _fill(made.properties, number)
        _fill(made.custom_properties, number + 100)
        artifacts.append(made)
    artifacts.append(pb.Artifact(type_id=artifact_type))
    large = {"sqlite": 2**62, "mysql": 2**31 - 1, "postgresql": 2**31 - 1}[kind]
    artifacts[0].custom_properties["large"].int_value = large
    artifacts[0].custom_properties["small"].int_value = -large
    artifacts[0].custom_properties["judged"].struct_value.update({"__value__": 0.5})
    artifacts[1].custom_properties["judged"].struct_value.update({"__value__": "yes"})
    artifacts[0].custom_properties["long"].string_value = _LONG
    artifacts[0].custom_properties["tiny"].double_value = -5e-300
    # In a column of doubles no database takes it from ml_metadata.
    artifacts[0].custom_properties["nan"].struct_value.update({"nan": float("nan"), "inf": float("-inf")})
    artifacts[0].custom_properties["wrapped"].struct_value.update({"__value__": [1, "a"]})
    artifacts[0].custom_properties["empty"].string_value = ""
    if kind != "postgresql":
        artifacts[0].custom_properties["na\\me"].string_value = "\\"
    ids = store.put_artifacts(artifacts)
    contexts = [
        pb.Context(type_id=store.put_context_type(pb.ContextType(name=type_name)), name=name)
        for type_name, name in (
            ("pipeline", "pipe.line"),
            ("pipeline_run", "a_dag:manual__1"),
            ("node", "pipe.line.Maker.x"),
        )
    ]
    other = pb.Context(type_id=store.put_context_type(pb.ContextType(name="other")), name="pa\\rent")
    parents = store.put_contexts([other, *contexts])
    store.put_parent_contexts([pb.ParentContext(child_id=parents[2], parent_id=parents[0])])
    for number, state in enumerate(pb.Execution.State.values()):
        execution = pb.Execution(type_id=execution_type, last_known_state=state)
        _fill(execution.properties, number)
        _fill(execution.custom_properties, number)
        store.put_execution(
            execution, [], contexts if number else [other], reuse_context_if_already_exist=True
        )
    first = min(e.id for e in store.get_executions() if e.type == "a.b.component.Maker")
    events = []
    for number, event_kind in enumerate(pb.Event.Type.values()[1:]):
        event = pb.Event(artifact_id=ids[number % 4], execution_id=first + number % 3, type=event_kind)
        if number:
            event.path.steps.add().key = f"ch\\annel {number}"
            event.path.steps.add().index = number
        events.append(event)
    store.put_events(events)


def _fill(properties: Any, number: int) -> None:
    properties["int"].int_value = number
    properties["double"].double_value = number + 0.1
    properties["string"].string_value = f"{number} ü \\ '\"%"
    properties["bool"].bool_value = bool(number % 2)
    properties["struct"].struct_value.update({"a": [1, None, {"b": "\\ü"}], "n": number})
    packed = any_pb2.Any()
    packed.Pack(duration_pb2.Duration(seconds=number))
    properties["proto"].proto_value.CopyFrom(packed)


def local(store: ml_metadata.MetadataStore, kind: str) -> None:
    """Two runs as TFX's LocalDagRunner names them, of two pipelines."""
    for pipeline, run in (("alone", "2026-01-31T12:00:00.123456"), ("other", "2026-01-31T12:00:01")):
        _put(store, "Gen", {"pipeline": pipeline, "pipeline_run": run, "node": f"{pipeline}.Gen"})


def old(store: ml_metadata.MetadataStore, kind: str) -> None:
    """A run as TFX's old launcher writes it, by TFX's own code."""
    from tfx.orchestration import data_types, metadata  # takes seconds

    handle = metadata.Metadata.__new__(metadata.Metadata)
    handle._store = store
    for name, run in (("old", "scheduled__2020-01-01T00:00:00+00:00"), ("old.er", "manual")):
        info = data_types.PipelineInfo(pipeline_name=name, pipeline_root="/srv", run_id=run)
        contexts = handle.register_pipeline_contexts_if_not_exists(info)
        for component in ("Gen.first", "Trainer"):
            component_info = data_types.ComponentInfo(
                component_type="a.b.OldGen", component_id=component, pipeline_info=info
            )
            handle.register_execution(
                input_artifacts={},
                exec_properties={},
                pipeline_info=info,
                component_info=component_info,
                contexts=list(contexts),
            )


def tasks(store: ml_metadata.MetadataStore, kind: str) -> None:
    """Two DAGs of one pipeline, with tasks, one of which was tried twice; a third without an execution."""
    _type = store.put_context_type(
        pb.ContextType(
            name=mlmd_facts.TASK_CONTEXT,
            properties={
                "dag_id": pb.STRING,
                "run_id": pb.STRING,
                "task_id": pb.STRING,
                "map_index": pb.INT,
                "try_number": pb.INT,
            },
        )
    )
    artifact_type = store.put_artifact_type(pb.ArtifactType(name="Plain"))
    made = []
    for dag, run in (("one", "a:b+c"), ("two", "a:b+c"), ("two", "second")):
        for node, tries in (("Gen", 1), ("Use", 2)):
            names = {"pipeline": "p", "pipeline_run": f"{dag}:{run}", "node": f"p.{node}"}
            names.update(
                {
                    f"{mlmd_facts.TASK_CONTEXT}{t}": f"{dag}:{run}:{node}:-1:{t}:ab"
                    for t in range(1, tries + 1)
                }
            )
            execution = _put(store, node, names, _type, (dag, run, node))
            if node == "Gen":
                made.append(store.put_artifacts([pb.Artifact(type_id=artifact_type, uri=f"/{dag}/{run}")])[0])
                _link(store, execution, made[-1], pb.Event.OUTPUT)
            else:
                _link(store, execution, made[-1], pb.Event.INPUT)
                _link(
                    store, execution, made[0], pb.Event.INPUT if len(made) > 1 else pb.Event.INTERNAL_OUTPUT
                )
    run_type = store.get_context_type("pipeline_run").id
    store.put_contexts([pb.Context(type_id=run_type, name="two:waits")])
    store.put_artifacts([pb.Artifact(type_id=artifact_type, uri="/of/no/run")])


def late(store: ml_metadata.MetadataStore, kind: str) -> None:
    """A run of a pipeline that is new too, and the first execution of the run that had none."""
    for pipeline, run in (("later", "late:first"), ("p", "two:waits")):
        _put(store, "Use", {"pipeline": pipeline, "pipeline_run": run, "node": f"{pipeline}.Use"})


def _put(
    store: ml_metadata.MetadataStore,
    node: str,
    names: dict[str, str],
    task_type: int = 0,
    task: tuple[str, str, str] = ("", "", ""),
) -> int:
    contexts = []
    for type_name, name in names.items():
        if type_name.startswith(mlmd_facts.TASK_CONTEXT):
            made = pb.Context(type_id=task_type, name=name)
            for key, value in zip(("dag_id", "run_id", "task_id"), task, strict=True):
                made.properties[key].string_value = value
            made.properties["map_index"].int_value = -1
            made.properties["try_number"].int_value = int(type_name[-1])
        else:
            kind = store.put_context_type(pb.ContextType(name=type_name), can_omit_fields=True)
            made = pb.Context(type_id=kind, name=name)
        contexts.append(made)
    execution_type = store.put_execution_type(pb.ExecutionType(name=f"a.b.{node}"))
    execution = pb.Execution(type_id=execution_type, last_known_state=pb.Execution.COMPLETE)
    return store.put_execution(execution, [], contexts, reuse_context_if_already_exist=True)[0]


def _link(store: ml_metadata.MetadataStore, execution: int, artifact: int, kind: int) -> None:
    store.put_events([pb.Event(artifact_id=artifact, execution_id=execution, type=kind)])


def answers(store: ml_metadata.MetadataStore) -> dict[str, Any]:
    """All that ml_metadata knows of artifacts, executions, contexts and events, by id."""
    artifacts, executions, contexts = store.get_artifacts(), store.get_executions(), store.get_contexts()
    return {
        "artifacts": {a.id: _artifact(a) for a in artifacts},
        "executions": {
            e.id: {
                **_common(e),
                "state": pb.Execution.State.Name(e.last_known_state),
                "contexts": _contexts(store, e.id),
            }
            for e in executions
        },
        "contexts": {c.id: _common(c) for c in contexts},
        "events": sorted(_event(e) for e in store.get_events_by_execution_ids([e.id for e in executions])),
    }


def _contexts(store: ml_metadata.MetadataStore, execution: int) -> list[list[str]]:
    try:
        return [[c.type, c.name] for c in store.get_contexts_by_execution(execution)]
    except ml_metadata.errors.NotFoundError:  # of one that is in none
        return []


def _common(item: Any) -> dict[str, Any]:
    properties = [
        [name, *_value(value), custom]
        for custom, kept in ((False, item.properties), (True, item.custom_properties))
        for name, value in kept.items()
    ]
    return {
        "type": item.type,
        "name": item.name,
        "created": item.create_time_since_epoch,
        "updated": item.last_update_time_since_epoch,
        "properties": sorted(properties, key=lambda p: (p[0], p[-1])),
    }


def _artifact(item: pb.Artifact) -> dict[str, Any]:
    return {**_common(item), "uri": item.uri, "state": pb.Artifact.State.Name(item.state)}


def _value(value: pb.Value) -> tuple[Any, str]:
    field = value.WhichOneof("value")
    kind = (field or "double_value").removesuffix("_value")
    if kind == "proto":
        packed = {"type_url": value.proto_value.type_url}
        return {**packed, "base64": base64.b64encode(value.proto_value.value).decode()}, kind
    if kind == "struct":
        return {name: _plain(item) for name, item in value.struct_value.fields.items()}, kind
    return getattr(value, field) if field else float("nan"), kind


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {name: _plain(item) for name, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    return None if kind == "null_value" else getattr(value, kind)


def _event(event: pb.Event) -> list[Any]:
    keys = [step.key for step in event.path.steps if step.HasField("key")]
    places = [step.index for step in event.path.steps if step.HasField("index")]
    kind = pb.Event.Type.Name(event.type)
    return [
        event.execution_id,
        event.artifact_id,
        kind,
        (keys or [""])[0],
        (places or [0])[0],
        event.milliseconds_since_epoch,
    ]


WRITERS = {
    "everything": everything,
    "local": local,
    "old": old,
    "tasks": tasks,
    "late": late,
    "empty": lambda *_: None,
}


def main(writers: dict[str, Any]) -> None:
    """Writes what the command line names; prints the answers.

    Args:
      writers: By name; `empty` writes no more than the schema.
    """
    address = json.load(sys.stdin)
    setup.init(address)
    with mlmd_store.open_store(address) as store:
        for what in sys.argv[1:]:
            writers[what](store, address["kind"])
        print(json.dumps(answers(store)))


if __name__ == "__main__":
    main(WRITERS)
