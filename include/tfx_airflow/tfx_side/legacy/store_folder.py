"""Keeps TFX from making the folder of a SQLite store when a legacy file names the store, which is not the one in use.

The path may be relative, or one of another machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfx.dsl.io import fileio
from tfx.orchestration import metadata


class _WithoutFolders:
    """TFX's `fileio`, which makes no folders."""

    def __getattr__(self, name: str) -> Any:
        return getattr(fileio, name)

    def makedirs(self, path: Any) -> None:
        """Does nothing."""


def leave_out() -> Callable[[], None]:
    """Has `sqlite_metadata_connection_config` make no folder; returns what undoes it."""
    original = metadata.fileio

    def undo() -> None:
        metadata.fileio = original

    metadata.fileio = _WithoutFolders()
    return undo
