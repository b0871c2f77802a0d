"""Writes executions with properties and events through ml_metadata; run in the TFX interpreter.

`python -m tests.panel.write_executions FILE`, with a JSON list of executions on standard input: each has `run`
(`<dag_id>:<run_id>`), `type`, `state`, `properties`, `inputs` ([channel, name of an artifact]) and `outputs` ([channel,
name] or [channel, name, type, uri, properties]). Prints the ids of artifacts, executions and runs by name.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb


def _value(value: Any) -> pb.Value:
    return pb.Value(int_value=value) if isinstance(value, int) else pb.Value(string_value=str(value))


def _event(kind: int, channel: str, index: int) -> pb.Event:
    event = pb.Event(type=kind)
    event.path.steps.add().key = channel
    event.path.steps.add().index = index
    return event


def _context(store: MetadataStore, type_name: str, name: str) -> pb.Context:
    return pb.Context(type_id=store.put_context_type(pb.ContextType(name=type_name)), name=name)


def _artifact(store: MetadataStore, type_name: str, uri: str, properties: dict[str, Any]) -> pb.Artifact:
    made = pb.Artifact(
        type_id=store.put_artifact_type(pb.ArtifactType(name=type_name)), uri=uri, state=pb.Artifact.LIVE
    )
    for name, value in properties.items():
        made.custom_properties[name].CopyFrom(_value(value))
    return made


def main(path: str, executions: list[dict[str, Any]]) -> dict[str, int]:
    """Writes them in their order."""
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = path
    config.sqlite.connection_mode = config.sqlite.READWRITE_OPENCREATE
    store = MetadataStore(config)
    ids: dict[str, int] = {}
    for described in executions:
        pipeline, node = described["run"].partition(":")[0], described["type"].rpartition(".")[2]
        type_id = store.put_execution_type(pb.ExecutionType(name=described["type"]))
        state = pb.Execution.State.Value(described.get("state", "COMPLETE"))
        execution = pb.Execution(type_id=type_id, last_known_state=state)
        for name, value in described.get("properties", {}).items():
            execution.custom_properties[name].CopyFrom(_value(value))
        pairs, names = [], []
        for kind, events in (
            (pb.Event.INPUT, described.get("inputs", [])),
            (pb.Event.OUTPUT, described.get("outputs", [])),
        ):
            places: Counter[str] = Counter()
            for channel, name, *new in events:
                known = store.get_artifacts_by_id([ids[name]])[0] if name in ids else _artifact(store, *new)
                pairs.append((known, _event(kind, channel, places[channel])))
                names.append(name)
                places[channel] += 1
        contexts = [
            _context(store, "pipeline", pipeline),
            _context(store, "pipeline_run", described["run"]),
            _context(store, "node", f"{pipeline}.{node}"),
        ]
        made, artifacts, in_contexts = store.put_execution(
            execution, pairs, contexts, reuse_context_if_already_exist=True
        )
        ids |= dict(zip(names, artifacts, strict=True))
        ids |= {f"{described['run']} {node}": made, described["run"]: in_contexts[1]}
        for child in in_contexts[1:]:
            if not store.get_parent_contexts_by_context(child):
                store.put_parent_contexts([pb.ParentContext(child_id=child, parent_id=in_contexts[0])])
    return ids


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.load(sys.stdin))))
