"""Lays out the picture of a lineage in layers from left to right, with few crossings."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from mlmd_panel.store.records import Lineage

WIDTH, HEIGHT = 150, 40
_ACROSS, _DOWN, _MARGIN = 210, 54, 12

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Box:
    """An artifact or an execution.

    Attributes:
      id: MLMD's.
      kind: artifact or execution.
      label: Its name.
      state: MLMD's; empty if it is hidden.
      hidden: The user may not see it.
      branch: Task group and map index of an execution, which distinguish it from others of its node.
      x: Left edge, in pixels.
      y: Upper edge.
    """

    id: int
    kind: str
    label: str
    state: str
    hidden: bool
    branch: str
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class Arrow:
    """An event: its points from the right of one box to the left of another.

    Attributes:
      path: Commands of an SVG path.
      kind: Kind of the event.
      key: Channel.
    """

    path: str
    kind: str
    key: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """A drawn lineage; sizes in pixels; all boxes are equally large."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float
    box_width: float = WIDTH
    box_height: float = HEIGHT


def picture(lineage: Lineage) -> Picture:
    """Places everything in a lineage; outputs are to the right of what they were made from."""
    vertices = [("artifact", id_) for id_ in lineage.artifacts] + [
        ("execution", id_) for id_ in lineage.executions
    ]
    place = {vertex: number for number, vertex in enumerate(vertices)}
    edges: list[tuple[int, int]] = []
    events = []
    for event in lineage.events:
        artifact = place.get(("artifact", event.artifact_id))
        execution = place.get(("execution", event.execution_id))
        if artifact is not None and execution is not None:
            # A Resolver's INTERNAL_OUTPUT points at what it chose, too: it comes before what uses that.
            edge = (artifact, execution) if event.is_input else (execution, artifact)
            edges.append(edge)
            events.append(event)
    points, bends = sugiyama(len(vertices), edges)
    boxes = tuple(
        Box(id_, kind, *_text(lineage, kind, id_), *points[number])
        for number, (kind, id_) in enumerate(vertices)
    )
    arrows = tuple(
        Arrow(_path(points[start], bends[number], points[end]), event.kind, event.key)
        for number, ((start, end), event) in enumerate(zip(edges, events, strict=True))
    )
    width = max((box.x for box in boxes), default=0) + WIDTH + _MARGIN
    height = max((box.y for box in boxes), default=0) + HEIGHT + _MARGIN
    return Picture(boxes, arrows, width, height)


def sugiyama(count: int, edges: Sequence[tuple[int, int]]) -> tuple[list[Point], list[list[Point]]]:
    """Layered layout from left to right.

    Args:
      count: Number of vertices.
      edges: From, to; cycles are allowed.

    Returns:
      Upper left corner of each vertex's box, and the bends of each edge in its direction.
    """
    if not count:
        return [], []
    import igraph

    graph = igraph.Graph(count, list(edges), directed=True)
    layout = graph.layout_sugiyama(hgap=_DOWN, vgap=_ACROSS)
    # igraph's layers go down; ours go to the right.
    bends = [[(y, x) for x, y in points] for points in layout.edge_routing]
    placed = [(y, x) for x, y in layout.coords]
    everything = [*placed, *(point for points in bends for point in points)]
    left, top = min(x for x, _ in everything) - _MARGIN, min(y for _, y in everything) - _MARGIN
    placed = [(x - left, y - top) for x, y in placed]
    bends = [
        sorted(((x - left, y - top) for x, y in points), reverse=placed[start][0] > placed[end][0])
        for points, (start, end) in zip(bends, edges, strict=True)
    ]
    return placed, bends


def _text(lineage: Lineage, kind: str, id_: int) -> tuple[str, str, bool, str]:
    if kind == "artifact":
        artifact = lineage.artifacts[id_]
        return artifact.display_name or artifact.type, artifact.state, False, ""
    execution = lineage.executions[id_]
    if execution.hidden:
        return "", "", True, ""
    return execution.node or execution.label, execution.state, False, execution.branch


def _path(start: Point, bends: list[Point], end: Point) -> str:
    """A smooth line: horizontal where it leaves, passes and arrives."""
    stops = [(start[0] + WIDTH, start[1] + HEIGHT / 2)]
    for x, y in bends:
        stops += [(x, y + HEIGHT / 2), (x + WIDTH, y + HEIGHT / 2)]
    stops.append((end[0], end[1] + HEIGHT / 2))
    text = f"M{stops[0][0]:g},{stops[0][1]:g}"
    for number, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(stops)):
        if number % 2:
            text += f" L{x1:g},{y1:g}"
        else:
            middle = (x0 + x1) / 2
            text += f" C{middle:g},{y0:g} {middle:g},{y1:g} {x1:g},{y1:g}"
    return text
