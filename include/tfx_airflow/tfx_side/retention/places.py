"""Where artifacts lie, on disk or in an object store, and which of that retention may touch.

Only what TFX itself has laid out: `<pipeline root>/<node>/<key>/<execution id>` below a root of the settings, of an
execution that the store knows as the artifact's maker. What an Importer or a component took from elsewhere is not.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence

from include.tfx_airflow.contract.object_store import is_object_store
from include.tfx_airflow.tfx_side.retention.files import QUARANTINE
from include.tfx_airflow.tfx_side.retention.graph import PLACE, Artifact, Graph


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
        """Takes absolute folders, and addresses; folders that are links themselves are taken for what they lead to."""
        self._roots = tuple(_normal(root) for root in roots)
        self._folder = functools.lru_cache(1 << 16)(os.path.realpath)

    def real(self, path: str) -> str:
        """The path without links before its last part; of what is not there, too. Addresses have no links."""
        if is_object_store(path):
            return path.rstrip("/")
        return os.path.join(self._folder(os.path.dirname(path)), os.path.basename(path))

    def of(self, artifact: Artifact, graph: Graph) -> Place:
        """Where an artifact's files are.

        Raises:
          LeftAlone: They are not such that retention may delete them.
        """
        uri = artifact.uri
        if "://" in uri and not is_object_store(uri):
            raise LeftAlone(f"{uri.partition('://')[0]}:// is not supported")
        if not is_place(uri):
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

    def has(self, pipeline_root: str) -> bool:
        """Whether a pipeline root is below a root of the settings: nothing else is looked at."""
        return bool(self._around(pipeline_root))

    def _around(self, pipeline_root: str) -> list[str]:
        return [root for root in self._roots if f"{pipeline_root}/".startswith(root.rstrip("/") + "/")]

    def _check(self, pipeline_root: str, path: str) -> None:
        inside = self._around(pipeline_root)
        if path != _normal(path) or not inside:
            raise LeftAlone("it is outside of the roots of the settings")
        if is_object_store(path):
            return
        root = max(inside, key=len)
        rest = path[len(root.rstrip("/")) + 1 :]
        if self.real(path) != os.path.join(self._folder(root), rest) or os.path.islink(path):
            raise LeftAlone("a symbolic link leads there")


def is_place(uri: str) -> bool:
    """Whether a URI is a path or an address that retention can look at."""
    return uri.startswith("/") or is_object_store(uri)


def _normal(path: str) -> str:
    """A path or address without `..`, empty parts and the like, which drivers of object stores take for names."""
    if not is_object_store(path):
        return os.path.normpath(path)
    scheme, _, rest = path.partition("://")
    return f"{scheme}://{os.path.normpath(rest).lstrip('/')}"


def pipeline_root(uri: str, execution: int, nodes: frozenset[str]) -> str:
    """The pipeline root of an output's URI; "" if it is none."""
    for parts in (2, 3):  # key and execution, and a value's file
        folder, *names = uri.rsplit("/", parts)
        if names[1:2] != [str(execution)] or "" in names:
            continue
        for node in nodes:  # whose id may be that of the key, too
            if folder.endswith(f"/{node}") and (root := folder.removesuffix(f"/{node}")):
                return root
    return ""
