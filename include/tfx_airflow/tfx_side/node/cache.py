"""Looks up TFX's cache without executions whose outputs are under the wrong keys.

TFX pairs events with artifacts in the order they come (`order`). On PostgreSQL, a cache hit of a node with several
outputs could therefore be recorded with artifacts under each other's keys, and then serve as cache itself.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
from collections.abc import Callable, Container, Iterator
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.orchestration import metadata
from tfx.orchestration.portable import cache_utils
from tfx.orchestration.portable.mlmd import event_lib, execution_lib
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import artifact_utils

from include.tfx_airflow.tfx_side.mlmd.metadata_store import SUCCESSFUL

log = logging.getLogger(__name__)

_Artifact = metadata_store_pb2.Artifact
_Execution = metadata_store_pb2.Execution
_Outputs = dict[str, list[types.Artifact]]
_MAKERS = 100  # executions that a cached one is compared with
_PAGE = 20
# Where TFX puts an output: <root>/<node>/<key>/<execution id>, and below it the file of a value.
_URI = re.compile(r"/([^/]+)/\d+(?:/[^/]*)?$")


@contextlib.contextmanager
def checked(
    node: pipeline_pb2.PipelineNode, check: Callable[[Any], None], only: Container[int] | None = None
) -> Iterator[None]:
    """Makes TFX, which has no hook for this, look up the node's cached outputs with `outputs`.

    Args:
      node: Of the launcher.
      check: Called with the store before the look-up, under the lock under which TFX then publishes what it found.
      only: Ids of the executions that may be used; None for all.
    """
    original = cache_utils.get_cached_outputs

    def look_up(
        metadata_handle: metadata.Metadata, cache_context: metadata_store_pb2.Context
    ) -> _Outputs | None:
        check(metadata_handle.store)
        return outputs(node, metadata_handle, cache_context, only)

    cache_utils.get_cached_outputs = look_up
    try:
        yield
    finally:
        cache_utils.get_cached_outputs = original


def outputs(
    node: pipeline_pb2.PipelineNode,
    metadata_handle: metadata.Metadata,
    cache_context: metadata_store_pb2.Context,
    only: Container[int] | None = None,
) -> _Outputs | None:
    """Outputs of the newest execution with the same inputs that can be reused.

    Args:
      node: The node that needs outputs.
      metadata_handle: The store.
      cache_context: Holds the executions of this node with the same inputs and properties.
      only: As for `checked`.

    Returns:
      The outputs by key; None if no execution has outputs that are live, still exist and are under the right keys.
    """
    store = metadata_handle.store
    makers = functools.cache(functools.partial(_published, store, cache_context.id))
    wrong: dict[int, str] = {}
    found = None
    for execution in _newest(store, cache_context.id):
        if only is not None and execution.id not in only:
            continue
        try:
            candidate = execution_lib.get_output_artifacts(metadata_handle, execution.id)
            _check_places(node, candidate)
            if execution.last_known_state == _Execution.CACHED:
                _check_maker(candidate, makers())
        except ValueError as error:
            wrong[execution.id] = str(error)
            continue
        if all(a.mlmd_artifact.state == _Artifact.LIVE for a in _each(candidate)) and _are_there(candidate):
            found = candidate
            break
    if wrong:
        newest = max(wrong)
        log.warning(
            "Not used as cache: %s, whose outputs are under the wrong keys (of %d: %s).",
            f"execution {newest}" if len(wrong) == 1 else f"{len(wrong)} executions, {newest} the newest",
            newest,
            wrong[newest],
        )
    return found


def _check_places(node: pipeline_pb2.PipelineNode, candidate: _Outputs) -> None:
    for key, artifacts in candidate.items():
        if key not in node.outputs.outputs:
            raise ValueError(f"the node has no output {key!r}")
        kind = node.outputs.outputs[key].artifact_spec.type.name
        for artifact in artifacts:
            if artifact.type_name != kind:
                raise ValueError(
                    f"output {key!r} is artifact {artifact.id} of type {artifact.type_name} instead of {kind}"
                )
            place = _URI.search(artifact.uri)
            if place and place[1] != key and place[1] in node.outputs.outputs:
                raise ValueError(f"output {key!r} is artifact {artifact.id}, whose URI is {artifact.uri!r}")


def _check_maker(candidate: _Outputs, makers: dict[int, dict[str, tuple[int, ...]]]) -> None:
    have = {key: tuple(artifact.id for artifact in artifacts) for key, artifacts in candidate.items()}
    for artifact in _each(candidate):
        for maker, published in makers.items():
            if any(artifact.id in ids for ids in published.values()) and published != have:
                raise ValueError(
                    f"its outputs are {have}, those of execution {maker}, which made them, {published}"
                )


def _newest(store: Any, context: int) -> Iterator[metadata_store_pb2.Execution]:
    """Successful executions of a context, newest first: a node that is always cached has one for each run."""
    before = 0
    while some := store.newest_executions([context], SUCCESSFUL, _PAGE, before):
        yield from some
        before = some[-1].id


def _published(store: Any, context: int) -> dict[int, dict[str, tuple[int, ...]]]:
    """Ids of the outputs of the newest executions of a context that made some, by execution and key."""
    executions = [e.id for e in store.newest_executions([context], [_Execution.COMPLETE], _MAKERS)]
    found: dict[int, list[metadata_store_pb2.Event]] = {}
    for event in store.get_events_by_execution_ids(executions) if executions else ():
        if event_lib.is_valid_output_event(event):
            found.setdefault(event.execution_id, []).append(event)
    return {id_: event_lib.reconstruct_artifact_id_multimap(events) for id_, events in found.items()}


def _each(candidate: _Outputs) -> Iterator[types.Artifact]:
    for artifacts in candidate.values():
        yield from artifacts


def _are_there(candidate: _Outputs) -> bool:
    try:
        artifact_utils.verify_artifacts(candidate)
    except RuntimeError:
        return False
    return True
