"""Says of a deleted artifact why and when it went: the orchestrator's retention leaves that in its properties."""

from __future__ import annotations

from typing import Any

from mlmd_panel.errors import PayloadDeleted
from mlmd_panel.formats import utc
from mlmd_panel.store.records import Artifact

_STATES = ("MARKED_FOR_DELETION", "DELETED")


def text(artifact: Artifact) -> str:
    """What became of an artifact, in one or two sentences; "" if it was not deleted. Why and when, its properties say."""
    if artifact.state not in _STATES:
        return ""
    reason = artifact.property("deleted_reason")
    because = f", because {reason}" if isinstance(reason, str) and reason else ""
    files = f"The files of {artifact.type} #{artifact.id} were"
    if artifact.state == "DELETED":
        return f"{files} deleted{_at(artifact.property('deleted_at'))}{because}."
    if not because:
        return f"{artifact.type} #{artifact.id} is marked for deletion: no node uses it any more."
    return (
        f"{files} set aside{_at(artifact.property('deletion_marked_at'))}{because}. Until they are deleted, "
        f"'python -m include.tfx_airflow gc --restore {artifact.id}' brings them back."
    )


def check(artifact: Artifact) -> None:
    """Refuses an artifact whose files are deleted or set aside.

    Raises:
      PayloadDeleted: They are.
    """
    if found := text(artifact):
        raise PayloadDeleted(found)


def _at(seconds: Any) -> str:
    is_time = isinstance(seconds, int) and 0 < seconds < 1 << 36
    return f" at {utc(seconds * 1000)[:16].replace('T', ' ')} UTC" if is_time else ""
