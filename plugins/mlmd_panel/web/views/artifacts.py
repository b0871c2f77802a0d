"""The list of artifacts and the page of an artifact."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import Depends, Query

from mlmd_panel.errors import PayloadError
from mlmd_panel.evaluation.table import Choice, table
from mlmd_panel.payloads import read as payloads
from mlmd_panel.payloads import tombstone
from mlmd_panel.payloads.evaluation import evaluation
from mlmd_panel.payloads.part import WHOLE, Part
from mlmd_panel.store.filters import ArtifactFilter, PropertyFilter
from mlmd_panel.store.records import ARTIFACT_STATES, Artifact
from mlmd_panel.web.answer import Answer, ExecutionRow
from mlmd_panel.web.choices import Choosing
from mlmd_panel.web.request import Cursor, Id, Limit, OptionalId, Text, Time, Visit, Visiting

Properties = Annotated[
    list[str],
    Query(
        max_length=10,
        description="Property filters, such as span>=201401, blessed=1, pushed_destination~serving",
    ),
]


def artifacts(
    visit: Visiting,
    pipeline: Text = None,
    run: OptionalId = None,
    type: Text = None,
    state: Text = None,
    producer: Text = None,
    property: Properties = [],  # noqa: B006 - FastAPI copies it
    uri: Text = None,
    since: Time = None,
    until: Time = None,
    text: Text = None,
    context: OptionalId = None,
    after: Cursor = None,
    limit: Limit = 50,
) -> Answer:
    """Artifacts, newest first."""
    chosen = ArtifactFilter(
        pipeline=pipeline or "",
        run=run,
        type=type or "",
        state=state or "",
        producer=producer or "",
        properties=tuple(PropertyFilter.of_text(text) for text in property if text.strip()),
        uri=uri or "",
        since=since,
        until=until,
        text=text or "",
        context=context,
    )
    with visit.store.connected() as store:
        page = store.artifacts(chosen, visit.dags, limit=limit, after=after)
        types = store.types(visit.dags)["artifact"]
    return Answer(
        "artifacts.html",
        "Artifacts",
        {
            "filter": dataclasses.asdict(chosen),
            "artifacts": page.rows,
            "after": page.after,
            "searched_to": page.searched_to,
        },
        {"types": types, "states": ARTIFACT_STATES},
    )


def part(
    split: Annotated[
        str, Query(max_length=500, description="Split of examples, statistics or anomalies")
    ] = "",
    slice: Annotated[str, Query(max_length=20_000, description="Slice of statistics")] = "",
    feature: Annotated[
        str, Query(max_length=200, description="Part of the name of features in statistics")
    ] = "",
) -> Part:
    """The requested part of a payload."""
    return Part(split, slice, feature.strip())


Wanted = Annotated[Part, Depends(part)]


def artifact(visit: Visiting, id: Id, choice: Choosing, wanted: Wanted) -> Answer:
    """An artifact: its contents and properties, and which executions produced, used or reused it."""
    with visit.store.connected() as store:
        found = store.artifact(id, visit.dags)
        if wanted != WHOLE:  # asks for files, not for what is known without them
            tombstone.check(found)
        events = store.events_of_artifact(id, visit.dags)
    rows: list[ExecutionRow] = [{"event": event, "execution": execution} for event, execution in events.rows]
    return Answer(
        "artifact.html",
        f"{found.type} #{found.id}",
        {
            "artifact": found,
            "deleted": tombstone.text(found),
            "made_by": [r for r in rows if r["event"].is_output and r["execution"].state != "CACHED"],
            "reused_by": [r for r in rows if r["event"].is_output and r["execution"].state == "CACHED"],
            "used_by": [r for r in rows if r["event"].is_input],
            "chosen_by": [r for r in rows if not r["event"].is_output and not r["event"].is_input],
            "cut": events.cut,
            "hidden": events.hidden,
            **typed_view(visit, found, choice, wanted),
        },
        {"choice": choice},
    )


def typed_view(visit: Visit, artifact: Artifact, choice: Choice, wanted: Part) -> dict[str, Any]:
    """The contents of an artifact's files, or why they cannot be shown."""
    try:
        if artifact.type == "ModelEvaluation":
            payload: payloads.Payload = _evaluation(visit, artifact, choice)
        else:
            payload = payloads.read(artifact, visit.panel.files, wanted)
        return {"payload": payload, "payload_problem": None}
    except PayloadError as error:
        problem = {"headline": error.headline, "error": str(error), "status": error.status}
        return {"payload": None, "payload_problem": problem}


def _evaluation(visit: Visit, artifact: Artifact, choice: Choice) -> evaluation.EvaluationPayload:
    read = evaluation.read(artifact, visit.panel.files, search=choice.slices, plot=choice.plot or None)
    return dataclasses.replace(read, table=table(read, choice))
