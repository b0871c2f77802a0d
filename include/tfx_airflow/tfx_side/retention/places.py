"""Where artifacts lie on disk, and which of that retention may touch.

Only what TFX itself has laid out: `<pipeline root>/<node>/<key>/<execution id>` below a root of the settings, of an
execution that the store knows as the artifact's maker. What an Importer or a component took from elsewhere is not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
from collections.abc import Sequence

from include.tfx_airflow.tfx_side.retention.graph import PLACE, Artifact, Graph

QUARANTINE = ".quarantine"


class LeftAlone(Exception):
    """An artifact's files are not for retention; the message says why, for people."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A file or folder, and where it is set aside: below the same pipeline root, so on the same disk."""

    path: str
    quarantine: str


class Places:
    """Finds what retention may touch below the roots; follows no symbolic link. Answers are kept: use it briefly."""

    def __init__(self, roots: Sequence[str]):
        """Takes absolute folders; those that are links themselves are taken for what they lead to."""
        self._roots = tuple(os.path.normpath(root) for root in roots)
        self._folder = functools.lru_cache(1 << 16)(os.path.realpath)

    def real(self, path: str) -> str:
        """The path without links before its last part; of what is not there, too."""
        return os.path.join(self._folder(os.path.dirname(path)), os.path.basename(path))

    def of(self, artifact: Artifact, graph: Graph) -> Place:
        """Where an artifact's files are.

        Raises:
          LeftAlone: They are not such that retention may delete them.
        """
        uri = artifact.uri
        if "://" in uri:
            raise LeftAlone(f"{uri.partition('://')[0]}:// is not supported, only local folders are")
        if not uri.startswith("/"):
            raise LeftAlone("its URI is not a path")
        if graph.number("is_external", artifact.id):
            raise LeftAlone("it was imported")
        for maker in graph.makers(artifact.id):
            root = pipeline_root(uri, maker.id, maker.nodes)
            if root:
                return self.at(root, uri)
        raise LeftAlone("its URI is not where TFX puts the output of the execution that made it")

    def at(self, pipeline_root: str, path: str) -> Place:
        """A place below a pipeline root.

        Raises:
          LeftAlone: It is not below a root of the settings, or a link leads there.
        """
        self._check(pipeline_root, path)
        return Place(path, f"{pipeline_root}/{QUARANTINE}{path[len(pipeline_root) :]}")

    def quarantined(self, quarantine: str, artifact: Artifact) -> Place:
        """The place that was set aside to a folder, as the artifact's property says.

        Raises:
          LeftAlone: That is no such folder, as after somebody has changed the property.
        """
        root, found, rest = quarantine.rpartition(f"/{QUARANTINE}/")
        path = f"{root}/{rest}"
        if not found or not (artifact.uri == path or artifact.uri.startswith(path + "/")):
            raise LeftAlone(f"its property {PLACE!r} is no place in quarantine for its URI: {quarantine!r}")
        self._check(root, path)
        self._check(root, quarantine)
        return Place(path, quarantine)

    def _check(self, pipeline_root: str, path: str) -> None:
        inside = [root for root in self._roots if f"{pipeline_root}/".startswith(root.rstrip("/") + "/")]
        if path != os.path.normpath(path) or not inside:
            raise LeftAlone("it is outside of the roots of the settings")
        root = max(inside, key=len)
        rest = path[len(root.rstrip("/")) + 1 :]
        if self.real(path) != os.path.join(self._folder(root), rest) or os.path.islink(path):
            raise LeftAlone("a symbolic link leads there")


def pipeline_root(uri: str, execution: int, nodes: frozenset[str]) -> str:
    """The pipeline root of an output's URI; "" if it is none."""
    for node in nodes:
        head, _, rest = uri.rpartition(f"/{node}/")
        parts = rest.split("/")
        if head and len(parts) in (2, 3) and parts[1] == str(execution) and "" not in parts:
            return head
    return ""


def size(path: str) -> int:
    """Bytes of a file or of all files in a folder; 0 if it is not there."""
    try:
        total = os.lstat(path).st_size if not os.path.isdir(path) else 0
    except FileNotFoundError:
        return 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
    return total


def move(path: str, target: str) -> bool:
    """Renames a place; whether it was there.

    Raises:
      OSError: It cannot be renamed, or there is something at the target.
    """
    if not os.path.lexists(path):
        return False
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        raise FileExistsError(f"there is already {target!r}")
    os.rename(path, target)
    folder = os.path.dirname(path)
    if os.path.basename(folder).isdecimal():  # `<execution id>` of a value, which is a file in it
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return True


def remove(path: str) -> None:
    """Removes a file or folder, if it is there.

    Raises:
      OSError: It cannot be removed.
    """
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def remove_quarantined(path: str) -> None:
    """Removes a place from quarantine, with the folders there that are empty then."""
    remove(path)
    _remove_empty(os.path.dirname(path), 4)


def _remove_empty(folder: str, most: int) -> None:
    """Removes folders of quarantine that are empty, from the inside out."""
    for _ in range(most):
        if QUARANTINE not in folder.split("/"):
            return
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)
