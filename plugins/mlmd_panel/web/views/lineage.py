"""The lineage of an artifact."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from mlmd_panel.web import graph_layout
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.request import Id, Visiting

Depth = Annotated[int, Query(ge=0, le=30, description="Generations of artifacts to follow")]


def lineage(
    visit: Visiting,
    id: Id,
    up: Depth = 4,
    down: Depth = 4,
    limit: Annotated[
        int, Query(ge=2, le=1000, description="Maximum number of artifacts and executions")
    ] = 300,
) -> Answer:
    """What an artifact was made from, and what was made from it."""
    with visit.store.connected() as store:
        artifact = store.artifact(id, visit.dags)
        found = store.lineage(id, visit.dags, up=up, down=down, limit=limit)
    return Answer(
        "lineage.html",
        f"Lineage of {artifact.type} #{artifact.id}",
        {"artifact": artifact, "up": up, "down": down, "limit": limit, "lineage": found},
        {"picture": graph_layout.picture(found)},
    )
