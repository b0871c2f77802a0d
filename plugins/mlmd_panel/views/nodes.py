"""The page of a node in a run: where Airflow's task instance tab leads."""

from __future__ import annotations

from mlmd_panel.answer import Answer
from mlmd_panel.errors import NotFound
from mlmd_panel.evaluation_table import Choosing
from mlmd_panel.views.artifacts import typed_view
from mlmd_panel.visit import Id, Visiting

MAX_SHOWN = 6


def node(visit: Visiting, id: Id, node: str, choice: Choosing) -> Answer:
    """A node in a run: its attempts, what it read and wrote, and what its outputs hold."""
    run = visit.store.run(id, visit.dags)
    (detail,) = visit.store.run_details([run], None)
    attempts = [execution for execution in detail.executions if execution.node == node]
    if not attempts:
        raise NotFound(
            f"Run '{run.run_id}' has no record of a node '{node}': it has not started, or was skipped."
        )
    events: dict[int, list] = {execution.id: [] for execution in attempts}
    for event in detail.events:
        if event.execution_id in events and event.artifact_id in detail.artifacts:
            events[event.execution_id].append(
                {"event": event, "artifact": detail.artifacts[event.artifact_id]}
            )
    last = attempts[-1]
    outputs = [row for row in events[last.id] if not row["event"].is_input]
    shown = [row for row in outputs if row["event"].is_output][:MAX_SHOWN]
    return Answer(
        "node.html",
        node,
        {
            "run": run,
            "node": node,
            "attempts": attempts[::-1],
            "execution": last,
            "inputs": [row for row in events[last.id] if row["event"].is_input],
            "outputs": outputs,
            "views": [{**row, **typed_view(visit, row["artifact"], choice)} for row in shown],
        },
        {"choice": choice},
    )
