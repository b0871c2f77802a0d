"""Finds artifacts whose files were removed: nodes refuse them as inputs.

MLMD does not track files. Without this, a deleted baseline ends in the traceback of a Beam worker.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.io import fileio

from include.tfx_airflow.contract.errors import NodeError

log = logging.getLogger(__name__)

# Their content is in their properties; their files are only markers for people.
_WITHOUT_CONTENT = ("ModelBlessing", "InfraBlessing", "PushedModel")
_Event = metadata_store_pb2.Event


class GoneFilesError(NodeError):
    """An input's files are missing."""

    headline = "Input is gone"


def is_gone(type_name: str, uri: str) -> bool:
    """Whether an artifact's files are known to be missing; if that is unknown, they are not."""
    if type_name in _WITHOUT_CONTENT or not (uri.startswith("/") or "://" in uri):
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
        (key, artifact)
        for key, artifacts in inputs.items()
        for artifact in artifacts
        if is_gone(artifact.type_name, artifact.uri)
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
