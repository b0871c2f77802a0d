"""The list of contexts and the page of a context."""

from __future__ import annotations

import dataclasses

from mlmd_panel.errors import NotFound
from mlmd_panel.store.filters import ArtifactFilter, ContextFilter, ExecutionFilter
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.request import Cursor, Id, Limit, Text, Visiting

SHOWN = 25


def contexts(
    visit: Visiting, type: Text = None, text: Text = None, after: Cursor = None, limit: Limit = 50
) -> Answer:
    """Contexts of any type, newest first, such as runs, pipelines and experiments."""
    chosen = ContextFilter(type=type or "", text=text or "")
    with visit.store.connected() as store:
        page = store.contexts(chosen, visit.dags, limit=limit, after=after)
        types = store.types(visit.dags)["context"]
    return Answer(
        "contexts.html",
        "Contexts",
        {
            "filter": dataclasses.asdict(chosen),
            "contexts": page.rows,
            "after": page.after,
            "searched_to": page.searched_to,
        },
        {"types": types},
    )


def context(visit: Visiting, id: Id) -> Answer:
    """A context: its properties, the contexts above and below it, its executions and its artifacts."""
    with visit.store.connected() as store:
        found = store.context(id, visit.dags)
        executions = store.executions(ExecutionFilter(context=id), visit.dags, limit=SHOWN)
        artifacts = store.artifacts(ArtifactFilter(context=id), visit.dags, limit=SHOWN)
        try:
            run = store.run(id, visit.dags)
        except NotFound:
            run = None
    return Answer(
        "context.html",
        found.context.label,
        {
            "context": found.context,
            "run": run,
            "parents": found.parents,
            "children": found.children,
            "cut": found.cut,
            "executions": executions.rows,
            "artifacts": artifacts.rows,
            "more": {
                "executions": executions.after is not None,
                "artifacts": artifacts.after is not None,
            },
        },
    )
