"""Writes in MLMD what retention does to an artifact; rows stay for good."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.contract.errors import RetentionError
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.mlmd.database import Server
from include.tfx_airflow.tfx_side.mlmd.metadata_store import MetadataStore
from include.tfx_airflow.tfx_side.retention.graph import DELETED_AT, MARKED_AT, PINNED, PLACE, REASON

_Artifact = metadata_store_pb2.Artifact
_FORMER = "deletion_former_state"
_OURS = (REASON, MARKED_AT, PLACE, _FORMER)


def mark(
    store: MetadataStore,
    address: dict[str, Any],
    quarantines: Mapping[int, str],
    why: Mapping[int, str],
    now: float,
) -> None:
    """Marks artifacts for deletion: Resolvers, the cache and consumers take LIVE ones only.

    Where nodes hold no lock of the whole store, on a server, an artifact that a running execution uses stays as it was.

    Args:
      store: Open.
      address: Its own.
      quarantines: Where each artifact's files will be.
      why: Reasons, for people.
      now: Seconds since the epoch.
    """
    artifacts = store.get_artifacts_by_id(list(quarantines))
    on_server = address["kind"] != "sqlite"
    for artifact in artifacts:
        artifact.custom_properties[REASON].string_value = why[artifact.id]
        artifact.custom_properties[MARKED_AT].int_value = int(now)
        artifact.custom_properties[PLACE].string_value = quarantines[artifact.id]
        artifact.custom_properties[_FORMER].int_value = artifact.state
        if not on_server:
            artifact.state = _Artifact.MARKED_FOR_DELETION
    store.put_artifacts(artifacts)
    if on_server:
        with Server(address) as server:
            server.mark_unused(list(quarantines), int(now * 1000))


def unmark(store: MetadataStore, ids: Collection[int], pinned: int = 0) -> None:
    """Gives marked artifacts their former state again.

    Args:
      store: Open.
      ids: Of artifacts whose files are back.
      pinned: The one of them that is also pinned; 0 for none.
    """
    artifacts = store.get_artifacts_by_id(list(ids))
    for artifact in artifacts:
        artifact.state = artifact.custom_properties[_FORMER].int_value or _Artifact.LIVE
        for name in _OURS:
            del artifact.custom_properties[name]
        if artifact.id == pinned:
            artifact.custom_properties[PINNED].int_value = 1
    store.put_artifacts(artifacts)


def deleted(store: MetadataStore, ids: Collection[int], now: float) -> None:
    """Notes that the files of marked artifacts are no more."""
    artifacts = store.get_artifacts_by_id(list(ids))
    for artifact in artifacts:
        artifact.state = _Artifact.DELETED
        artifact.custom_properties[DELETED_AT].int_value = int(now)
    store.put_artifacts(artifacts)


def pin(address: dict[str, Any], ids: list[int], pinned: bool) -> None:
    """Pins artifacts, which are then kept with all that they were made from; or lets them go again.

    Raises:
      RetentionError: There is no such artifact, or its files are set aside or deleted.
    """
    with opened(address) as store:
        artifacts = store.get_artifacts_by_id(ids)
        missing = set(ids) - {artifact.id for artifact in artifacts}
        if missing:
            raise RetentionError(f"the store has no artifact {min(missing)}; the panel shows the ids of all.")
        for artifact in artifacts:
            if pinned and artifact.state == _Artifact.DELETED:
                raise RetentionError(f"artifact {artifact.id} is deleted; run its node again.")
            if pinned and artifact.state == _Artifact.MARKED_FOR_DELETION:
                raise RetentionError(
                    f"artifact {artifact.id} is set aside; bring it back with 'gc --restore {artifact.id}'."
                )
            artifact.custom_properties[PINNED].int_value = int(pinned)
        store.put_artifacts(artifacts)


@contextlib.contextmanager
def opened(address: dict[str, Any]) -> Iterator[MetadataStore]:
    """The store, under the lock of nodes, for a short time."""
    with mlmd_store.open_store(address) as store:
        yield store
