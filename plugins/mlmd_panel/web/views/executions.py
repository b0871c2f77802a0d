"""The list of executions and the page of an execution."""

from __future__ import annotations

import dataclasses

from mlmd_panel.store.filters import ExecutionFilter
from mlmd_panel.store.records import EXECUTION_STATES, Execution
from mlmd_panel.web.answer import Answer, ArtifactRow
from mlmd_panel.web.request import Cursor, Id, Limit, MapIndex, OptionalId, Text, Time, Visiting


def executions(
    visit: Visiting,
    pipeline: Text = None,
    run: OptionalId = None,
    type: Text = None,
    state: Text = None,
    node: Text = None,
    dag_id: Text = None,
    task_id: Text = None,
    map_index: MapIndex = None,
    context: OptionalId = None,
    since: Time = None,
    until: Time = None,
    text: Text = None,
    after: Cursor = None,
    limit: Limit = 50,
) -> Answer:
    """Executions, newest first: every attempt of every node."""
    chosen = ExecutionFilter(
        pipeline=pipeline or "",
        run=run,
        type=type or "",
        state=state or "",
        node=node or "",
        dag_id=dag_id or "",
        task_id=task_id or "",
        map_index=map_index,
        context=context,
        since=since,
        until=until,
        text=text or "",
    )
    with visit.store.connected() as store:
        page = store.executions(chosen, visit.dags, limit=limit, after=after)
        types = store.types(visit.dags)["execution"]
    return Answer(
        "executions.html",
        "Executions",
        {
            "filter": dataclasses.asdict(chosen),
            "executions": page.rows,
            "after": page.after,
            "searched_to": page.searched_to,
        },
        {"types": types, "states": EXECUTION_STATES},
    )


def execution(visit: Visiting, id: Id) -> Answer:
    """An execution: its properties, inputs and outputs, and the source of outputs from the cache."""
    with visit.store.connected() as store:
        found = store.execution(id, visit.dags)
        events, cut = store.events_of_execution(id, visit.dags)
    rows: list[ArtifactRow] = [{"event": event, "artifact": artifact} for event, artifact in events]
    maker, hidden = None, False
    if found.state == "CACHED":
        made = next((row["artifact"] for row in rows if row["event"].is_output), None)
        maker, hidden = _maker(visit, made.id) if made else (None, False)
    return Answer(
        "execution.html",
        f"{found.label or 'Execution'} #{found.id}",
        {
            "execution": found,
            "inputs": [row for row in rows if row["event"].is_input],
            "outputs": [row for row in rows if not row["event"].is_input],
            "cut": cut,
            "reused_from": maker,
            "maker_hidden": hidden,
        },
    )


def _maker(visit: Visiting, artifact_id: int) -> tuple[Execution | None, bool]:
    """The execution that produced an artifact, and whether it may be hidden from the user."""
    events = visit.store.events_of_artifact(artifact_id, visit.dags)
    makers = [e for event, e in events.rows if event.is_output and e.state != "CACHED"]
    return (makers[0], False) if makers else (None, events.hidden)
