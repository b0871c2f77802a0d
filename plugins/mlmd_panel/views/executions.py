"""The list of executions, and the page of one."""

from __future__ import annotations

import dataclasses

from mlmd_panel.answer import Answer
from mlmd_panel.filters import ExecutionFilter
from mlmd_panel.models import EXECUTION_STATES
from mlmd_panel.visit import Cursor, Id, Limit, OptionalId, Text, Time, Visiting


def executions(
    visit: Visiting,
    pipeline: Text = None,
    run: OptionalId = None,
    type: Text = None,
    state: Text = None,
    node: Text = None,
    dag_id: Text = None,
    task_id: Text = None,
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
        since=since,
        until=until,
        text=text or "",
    )
    page = visit.store.executions(chosen, visit.dags, limit=limit, after=after)
    return Answer(
        "executions.html",
        "Executions",
        {
            "filter": dataclasses.asdict(chosen),
            "executions": page.rows,
            "after": page.after,
            "searched_to": page.searched_to,
        },
        {"types": visit.store.types()["execution"], "states": EXECUTION_STATES},
    )


def execution(visit: Visiting, id: Id) -> Answer:
    """An execution: its properties, what it read and wrote, and whose outputs it took from the cache."""
    found = visit.store.execution(id, visit.dags)
    events, cut = visit.store.events_of_execution(id, visit.dags)
    rows = [{"event": event, "artifact": artifact} for event, artifact in events]
    maker = None
    if found.state == "CACHED":
        made = next((row["artifact"] for row in rows if row["event"].is_output), None)
        maker = _maker(visit, made.id) if made else None
    return Answer(
        "execution.html",
        f"{found.node or 'Execution'} #{found.id}",
        {
            "execution": found,
            "inputs": [row for row in rows if row["event"].is_input],
            "outputs": [row for row in rows if not row["event"].is_input],
            "cut": cut,
            "reused_from": maker,
        },
    )


def _maker(visit: Visiting, artifact_id: int):
    """The execution that really made an artifact; None when the user may not see it."""
    events, _ = visit.store.events_of_artifact(artifact_id, visit.dags)
    makers = [execution for event, execution in events if event.is_output and execution.state != "CACHED"]
    return makers[0] if makers else None
