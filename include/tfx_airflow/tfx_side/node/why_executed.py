"""Says why a node ran instead of taking its outputs from the cache, and who computed what came from it.

TFX's cache key is a hash (`tfx/orchestration/portable/cache_utils.py`): it tells that something differs, not what. What
goes into it is compared here with the nearest earlier execution of the node.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.io import fileio
from tfx.orchestration import data_types_utils
from tfx.orchestration.portable.mlmd import event_lib, execution_lib
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract import mlmd_facts
from include.tfx_airflow.tfx_side.mlmd.metadata_store import SUCCESSFUL
from include.tfx_airflow.tfx_side.node import beam_work
from include.tfx_airflow.tfx_side.node.code_version import FILES_PROPERTY, VERSION_PROPERTY
from include.tfx_airflow.tfx_side.node.user_code import FINGERPRINT_PROPERTY

log = logging.getLogger(__name__)

# Property of an execution that tells it, and one that stands for its executor and Beam arguments.
PROPERTY, EXECUTOR_PROPERTY = "not_cached", "executor_hash"
_COMPARED = 10  # earlier executions, of which the one with the fewest differences is told
_MAX_CHANGES, _MAX_TEXT = 20, 300
_Artifact, _Event = metadata_store_pb2.Artifact, metadata_store_pb2.Event
# Of an execution, not of what it works with.
_NOT_COMPARED = (
    PROPERTY,
    FILES_PROPERTY,
    VERSION_PROPERTY,
    EXECUTOR_PROPERTY,
    beam_work.PROPERTY,
    "failure",
    "state",
)
_Change = tuple[str, str, str]


def executor_hash(executor_spec: Any) -> str:
    """Stands for the executor with its Beam arguments, which are part of TFX's cache key."""
    if executor_spec is None:
        return ""
    return hashlib.sha256(executor_spec.SerializeToString(deterministic=True)).hexdigest()[:16]


def explain(
    store: Any,
    node: pipeline_pb2.PipelineNode,
    execution_id: int,
    exec_properties: Mapping[str, Any],
    without_cache: str = "",
) -> dict[str, Any]:
    """Compares an execution with the nearest earlier one of its node.

    Args:
      store: Open `MetadataStore`.
      node: With the contexts of the execution.
      execution_id: It is registered, with its inputs, and about to run.
      exec_properties: What it is given. A driver adds to it what TFX stores when the execution ends, such as the span.
      without_cache: Why the cache was not asked; "" when it was.

    Returns:
      `reason` in words; and of the earlier execution, if there is one, `compared_with` (its id), `run` (the name of
      its run), `changes` (lists of what, before and now) and `left_out`, how many more there are.
    """
    earlier = store.newest_executions(_contexts(store, node), SUCCESSFUL, _COMPARED, execution_id)
    if not earlier:
        return {"reason": without_cache or "the node has not run before"}
    [execution] = store.get_executions_by_id([execution_id])
    for name, value in exec_properties.items():
        if value is not None and name not in execution.properties and name not in execution.custom_properties:
            data_types_utils.set_metadata_value(execution.custom_properties[name], value)
    described = _Described(store, [execution, *earlier])
    # Of several that are as near, the first is the newest.
    compared = [(described.changes(other, execution), other) for other in earlier]
    changes, nearest = min(compared, key=lambda one: len(one[0]))
    differs = "it differs from the earlier execution"
    return {
        "reason": without_cache or (differs if changes else _unusable(store, described, nearest)),
        "compared_with": nearest.id,
        "run": store.run_of(nearest.id),
        "changes": [[_cut(text) for text in change] for change in changes[:_MAX_CHANGES]],
        "left_out": max(0, len(changes) - _MAX_CHANGES),
    }


def tell(found: Mapping[str, Any]) -> None:
    """Writes an explanation to the log."""
    if "compared_with" not in found:
        log.info("Not from the cache: %s.", found["reason"])
        return
    log.info(
        "Not from the cache: %s. Compared with execution %d of run %r:",
        found["reason"],
        found["compared_with"],
        found["run"],
    )
    for what, before, now in found["changes"]:
        log.info("  %s: %s -> %s", what, before, now)
    if found["left_out"]:
        log.info("  ... and %d more.", found["left_out"])
    if not found["changes"]:
        log.info("  inputs, parameters and code are the same.")


def computed_by(store: Any, execution_id: int) -> dict[str, Any]:
    """Which execution made the outputs of a cached one: its id as `execution`, and the name of its `run`."""
    events = store.get_events_by_execution_ids([execution_id])
    made = [event.artifact_id for event in events if event.type == _Event.OUTPUT]
    makers = [
        event.execution_id
        for event in (store.get_events_by_artifact_ids(made) if made else ())
        if event.type == _Event.OUTPUT
    ]
    first = min(makers, default=execution_id)
    return {} if first == execution_id else {"execution": first, "run": store.run_of(first)}


def _contexts(store: Any, node: pipeline_pb2.PipelineNode) -> list[int]:
    """Ids of the node's contexts that its executions in all runs have, the smallest first."""
    names = {spec.type.name: spec.name.field_value.string_value for spec in node.contexts.contexts}
    found = [
        store.get_context_by_type_and_name(kind, names[kind])
        for kind in ("node", mlmd_facts.GROUP_CONTEXT)
        if kind in names
    ]
    return [context.id for context in found if context]


class _Described:
    """Inputs of several executions, read together."""

    def __init__(self, store: Any, executions: list[metadata_store_pb2.Execution]):
        events = store.get_events_by_execution_ids([execution.id for execution in executions])
        self._inputs: dict[int, dict[str, list[int]]] = {execution.id: {} for execution in executions}
        self.outputs: dict[int, list[int]] = {}
        for event in events:
            if event_lib.is_valid_input_event(event):
                for key in sorted({step.key for step in event.path.steps if step.key}):
                    self._inputs[event.execution_id].setdefault(key, []).append(event.artifact_id)
            elif event_lib.is_valid_output_event(event):
                self.outputs.setdefault(event.execution_id, []).append(event.artifact_id)
        ids = {id_ for inputs in self._inputs.values() for found in inputs.values() for id_ in found}
        self._artifacts = {a.id: a for a in store.get_artifacts_by_id(sorted(ids))} if ids else {}

    def changes(
        self, before: metadata_store_pb2.Execution, now: metadata_store_pb2.Execution
    ) -> list[_Change]:
        """What differs, inputs first."""
        earlier, later = self._inputs[before.id], self._inputs[now.id]
        found = [
            (f"input {key}", self._texts(earlier.get(key)), self._texts(later.get(key)))
            for key in sorted(earlier.keys() | later.keys())
            if earlier.get(key) != later.get(key)
        ]
        found += [
            (f"input {key}", self._texts([id_]), "changed in the store since")
            for key, ids in sorted(later.items())
            for id_ in ids
            if id_ in earlier.get(key, ())
            and self._artifacts[id_].last_update_time_since_epoch > before.create_time_since_epoch
        ]
        one, two = _properties(before), _properties(now)
        files = _files(before), _files(now)
        for name in sorted(one.keys() | two.keys()):
            if one.get(name) == two.get(name):
                continue
            if name == FINGERPRINT_PROPERTY:
                found += _code_changes(*files) or [("code", one.get(name, "none"), two.get(name, "none"))]
            else:
                found.append((f"parameter {name}", one.get(name, "none"), two.get(name, "none")))
        executors = [e.custom_properties[EXECUTOR_PROPERTY].string_value for e in (before, now)]
        if all(executors) and executors[0] != executors[1]:
            found.append(("executor or Beam arguments", *executors))
        return found

    def _texts(self, ids: list[int] | None) -> str:
        return (
            ", ".join(self._text(self._artifacts[id_]) for id_ in ids or () if id_ in self._artifacts)
            or "none"
        )

    @staticmethod
    def _text(artifact: metadata_store_pb2.Artifact) -> str:
        span = artifact.custom_properties["span"] if "span" in artifact.custom_properties else None
        told = f" (span {span.string_value or span.int_value})" if span else ""
        return f"{artifact.type} #{artifact.id}{told}"


def _properties(execution: metadata_store_pb2.Execution) -> dict[str, str]:
    """What the node was given, as text by name."""
    return {
        name: str(getattr(value, value.WhichOneof("value") or "string_value"))
        for name, value in (*execution.properties.items(), *execution.custom_properties.items())
        if name not in _NOT_COMPARED
        and not execution_lib.is_internal_key(name)
        and not execution_lib.is_schema_key(name)
    }


def _files(execution: metadata_store_pb2.Execution) -> dict[str, str]:
    if FILES_PROPERTY not in execution.custom_properties:
        return {}
    return json.loads(execution.custom_properties[FILES_PROPERTY].string_value)["files"]


def _code_changes(before: dict[str, str], now: dict[str, str]) -> list[_Change]:
    """Files of the user's code that are not the same, by name."""
    return [
        (f"code {name}", before.get(name, "none"), now.get(name, "none"))
        for name in sorted(before.keys() | now.keys())
        if before and now and before.get(name) != now.get(name)
    ]


def _unusable(store: Any, described: _Described, nearest: metadata_store_pb2.Execution) -> str:
    """Why the outputs of an execution that differs in nothing do not serve."""
    for artifact in store.get_artifacts_by_id(described.outputs.get(nearest.id, [])):
        if artifact.state != _Artifact.LIVE:
            state = _Artifact.State.Name(artifact.state).lower().replace("_", " ")
            return f"its earlier output {artifact.type} #{artifact.id} is {state}"
        try:
            if artifact.uri and not fileio.exists(artifact.uri):
                return (
                    f"the files of its earlier output {artifact.type} #{artifact.id} are gone: {artifact.uri}"
                )
        except Exception as error:  # a server that does not answer
            return f"whether its earlier output {artifact.type} #{artifact.id} exists is unknown: {error}"
    return (
        "its cache key is another one, although inputs, parameters and code are the same, as after a new TFX"
    )


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}... ({len(text)} characters)"
