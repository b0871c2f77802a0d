"""What is kept and what goes, as the store and the disk are now."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.mlmd.reader import Reader, among
from include.tfx_airflow.tfx_side.retention import graph as graphs
from include.tfx_airflow.tfx_side.retention import overlap
from include.tfx_airflow.tfx_side.retention.graph import MARKED_AT, PLACE, Artifact, Graph
from include.tfx_airflow.tfx_side.retention.places import LeftAlone, Place, Places, is_place
from include.tfx_airflow.tfx_side.retention.reachability import reachable
from include.tfx_airflow.tfx_side.retention.roots import roots

_State = metadata_store_pb2.Artifact
MARKED, DELETED = _State.MARKED_FOR_DELETION, _State.DELETED
_MAY_GO = (_State.PENDING, _State.LIVE, _State.ABANDONED)


@dataclasses.dataclass(frozen=True)
class Survey:
    """The state of a store and its files.

    Attributes:
      kept: Why each kept artifact is kept.
      left_alone: Why each artifact that nothing kept refers to is not touched.
      going: Places to set aside, each with the artifacts whose files it holds.
      marked: Likewise, of artifacts that retention has marked before.
      again: Of `marked` the artifacts that are kept now, and why; their places are to be restored.
    """

    graph: Graph
    kept: Mapping[int, str]
    left_alone: Mapping[int, str]
    going: Mapping[Place, tuple[int, ...]]
    marked: Mapping[Place, tuple[int, ...]]
    again: Mapping[int, str]

    def changed(self, reader: Reader) -> bool:
        """Whether something that is not kept may have to be kept by now; cheap."""
        graph, now = self.graph, graphs.look(reader)
        seen = graph.seen
        if now.pinned != seen.pinned:
            return True
        loose = graph.artifacts.keys() - self.kept.keys()
        used = {row[0] for row in reader.rows("select artifact_id from Event where id > %s", (seen.event,))}
        started = now.running - seen.running
        for condition in among("execution_id", started):
            used |= {row[0] for row in reader.rows(f"select artifact_id from Event where {condition}")}
        if used & loose:
            return True
        runs = {
            row[0]
            for row in reader.rows(
                "select context_id from Association where execution_id > %s", (seen.execution,)
            )
        }
        runs |= {run for id_ in started & graph.executions.keys() for run in graph.executions[id_].runs}
        at_work = [e.id for e in graph.executions.values() if e.runs & runs]
        return any(event.artifact in loose for id_ in at_work for event in graph.of_execution.get(id_, ()))


def survey(address: dict[str, Any], roots_: list[str], keep: Keep, now: float) -> Survey:
    """Reads the store, and decides.

    Args:
      address: The store.
      roots_: Folders below which files may be deleted.
      keep: What to keep.
      now: Seconds since the epoch.
    """

    def load(ids: list[int]) -> list[metadata_store_pb2.Artifact]:
        if not ids or address["kind"] == "sqlite":
            return []
        with mlmd_store.open_store(address) as store:
            return list(store.get_artifacts_by_id(ids))

    with Reader(address) as reader:
        graph = graphs.read(reader, load)
    return decide(graph, Places(roots_), keep, now)


def decide(graph: Graph, places: Places, keep: Keep, now: float) -> Survey:
    """Decides about each artifact of a graph; see `survey`."""
    kept = reachable(graph, roots(graph, keep, now))
    left_alone: dict[int, str] = {}
    going: dict[int, Place] = {}
    marked: dict[int, Place] = {}
    for artifact in graph.artifacts.values():
        with _noted(left_alone, artifact.id):
            if is_ours(graph, artifact):
                marked[artifact.id] = places.quarantined(
                    str(graph.properties[PLACE].get(artifact.id)), artifact
                )
            elif artifact.id not in kept and artifact.state in _MAY_GO:
                going[artifact.id] = places.of(artifact, graph)
    staying = overlap.Paths(
        {
            artifact.id: places.real(path)
            for artifact in graph.artifacts.values()
            if artifact.id not in going and artifact.id not in marked and artifact.state != DELETED
            if (path := _path(artifact.uri))
        }
    )
    found: dict[Place, tuple[int, ...]] = {}
    for path, ids in overlap.groups({id_: place.path for id_, place in going.items()}).items():
        other = staying.sharing(places.real(path))
        if other:
            left_alone |= dict.fromkeys(ids, f"its files are those of artifact {other}, too")
        else:
            place = next(going[id_] for id_ in ids if going[id_].path == path)
            found[place] = tuple(sorted(ids))
    of_place: dict[Place, list[int]] = {}
    again: dict[int, str] = {}
    for id_, place in sorted(marked.items()):
        of_place.setdefault(place, []).append(id_)
        if id_ in kept:
            again[id_] = kept[id_]
        elif other := staying.sharing(places.real(place.path)):
            again[id_] = f"its files are those of artifact {other}, too"
    return Survey(
        graph, kept, left_alone, found, {place: tuple(ids) for place, ids in of_place.items()}, again
    )


def is_ours(graph: Graph, artifact: Artifact) -> bool:
    """Whether retention itself has marked an artifact for deletion."""
    return artifact.state == MARKED and artifact.id in graph.properties.get(MARKED_AT, {})


def _path(uri: str) -> str:
    """The path or address of any URI; "" if it has none."""
    path = uri.removeprefix("file://")
    return path if is_place(path) else ""


@contextlib.contextmanager
def _noted(left_alone: dict[int, str], artifact: int) -> Iterator[None]:
    try:
        yield
    except LeftAlone as reason:
        left_alone[artifact] = str(reason)
