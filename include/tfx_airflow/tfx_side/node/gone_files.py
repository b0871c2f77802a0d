"""Finds artifacts whose files were removed: nodes refuse them as inputs, and Resolvers pass over them.

MLMD does not track files. Without this, a deleted baseline ends in the traceback of a Beam worker.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.io import fileio
from tfx.orchestration.portable import inputs_utils
from tfx.orchestration.portable.input_resolution import channel_resolver
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract.errors import NodeError

log = logging.getLogger(__name__)

# Their content is in their properties; their files are only markers for people.
_WITHOUT_CONTENT = ("ModelBlessing", "InfraBlessing", "PushedModel")
_Event = metadata_store_pb2.Event


class GoneFilesError(NodeError):
    """An input's files are missing."""

    headline = "Input is gone"


def is_gone(artifact: types.Artifact) -> bool:
    """Whether an artifact's files are known to be missing; if that is unknown, they are not."""
    uri = artifact.uri
    if artifact.type_name in _WITHOUT_CONTENT or not (uri.startswith("/") or "://" in uri):
        return False  # without files, or a name that only its component understands
    try:
        return not fileio.exists(uri)
    except Exception as error:  # a scheme that TFX does not know, a server that does not answer
        log.info("Whether %r exists is unknown: %s", uri, error)
        return False


def check_inputs(store: Any, inputs: dict[str, Sequence[types.Artifact]]) -> None:
    """Refuses inputs whose files are missing.

    Args:
      store: Open `MetadataStore`, used to find which run made them.
      inputs: Artifacts by input key.

    Raises:
      GoneFilesError: Files are gone; the message names each artifact, and the cure.
    """
    gone = [
        (key, artifact) for key, artifacts in inputs.items() for artifact in artifacts if is_gone(artifact)
    ]
    if not gone:
        return
    lines = [
        f"  {key}: {artifact.type_name} #{artifact.id}, {artifact.uri!r}, {_made_by(store, artifact.id)}"
        for key, artifact in gone
    ]
    raise GoneFilesError(
        f"{len(gone)} of this node's input artifacts no longer have files:\n"
        + "\n".join(lines)
        + "\nRestore the files, or clear the task that made them together with its downstream tasks."
    )


def _made_by(store: Any, artifact_id: int) -> str:
    events = store.get_events_by_artifact_ids([artifact_id])
    made = sorted(event.execution_id for event in events if event.type == _Event.OUTPUT)
    names = {c.type: c.name for c in store.get_contexts_by_execution(made[0])} if made else {}
    if "pipeline_run" not in names:
        return "of unknown origin"
    return f"made by {names.get('node', 'an execution')!r} in run {names['pipeline_run']!r}"


@contextlib.contextmanager
def passed_over(node: pipeline_pb2.PipelineNode) -> Iterator[None]:
    """Lets the strategies of a Resolver choose among artifacts of earlier runs that still have their files.

    Only chosen artifacts are checked, and all candidates of an input once its choice is gone: a store
    may hold thousands.

    Args:
      node: Any node; only a Resolver is affected.
    """
    if not node.inputs.input_graphs:
        yield
        return
    gone: dict[int, types.Artifact] = {}
    resolve, resolve_channels = inputs_utils.resolve_input_artifacts, channel_resolver.resolve_union_channels
    candidates: dict[int, types.Artifact] = {}

    def resolve_again(**arguments: Any) -> Any:
        while True:
            candidates.clear()
            found = resolve(**arguments)
            chosen = {a.id for inputs in found for artifacts in inputs.values() for a in artifacts}
            more = {id_: candidates[id_] for id_ in chosen & set(candidates) if is_gone(candidates[id_])}
            if not more:
                return found
            more |= {id_: artifact for id_, artifact in candidates.items() if is_gone(artifact)}
            for id_, artifact in sorted(more.items()):
                log.warning(
                    "Passed over: %s #%d, whose files are gone: %s", artifact.type_name, id_, artifact.uri
                )
            gone.update(more)

    def resolve_rest(handle: Any, channels: Sequence[pipeline_pb2.InputSpec.Channel]) -> list[types.Artifact]:
        artifacts = resolve_channels(handle, channels)
        if any(q.type.name == "pipeline_run" for channel in channels for q in channel.context_queries):
            return artifacts  # of this run: choosing another would be wrong
        left = [artifact for artifact in artifacts if artifact.id not in gone]
        candidates.update({artifact.id: artifact for artifact in left})
        return left

    inputs_utils.resolve_input_artifacts = resolve_again
    channel_resolver.resolve_union_channels = resolve_rest
    try:
        yield
    finally:
        inputs_utils.resolve_input_artifacts = resolve
        channel_resolver.resolve_union_channels = resolve_channels
