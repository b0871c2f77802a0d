"""The page of a node in a run, to which Airflow's task instance tab leads."""

from __future__ import annotations

from mlmd_panel.errors import NotFound
from mlmd_panel.store.records import Execution
from mlmd_panel.web import beam_work, not_cached
from mlmd_panel.web.answer import Answer, ArtifactRow
from mlmd_panel.web.choices import Choosing
from mlmd_panel.web.request import Id, MapIndex, Text, Visiting
from mlmd_panel.web.views.artifacts import Wanted, typed_view

MAX_SHOWN = 6


def node(
    visit: Visiting,
    id: Id,
    node: str,
    choice: Choosing,
    wanted: Wanted,
    task_id: Text = None,
    map_index: MapIndex = None,
) -> Answer:
    """A node in a run: its attempts, inputs, outputs, the contents of its outputs, why it ran, and where Beam's time went.

    If a node has several instances in the run, in task groups or mapped, they are listed, unless the task id and map
    index select one.
    """
    with visit.store.connected() as store:
        run = store.run(id, visit.dags)
        (detail,) = store.run_details([run], None)
    instances: dict[tuple, list[Execution]] = {}
    for execution in detail.executions:
        if execution.node == node and _is_of(execution, task_id, map_index):
            instances.setdefault(execution.instance, []).append(execution)
    if not instances:
        where = f" in task '{task_id}'" if task_id else ""
        where += f" with map index {map_index}" if map_index is not None else ""
        raise NotFound(
            f"Run '{run.run_id}' has no record of node '{node}'{where}: it has not started, was skipped, or does not exist."
        )
    lasts = [attempts[-1] for attempts in instances.values()]
    data: dict = {"run": run, "node": node, "instances": lasts if len(lasts) > 1 else []}
    if len(lasts) > 1:
        empty: dict = {
            "attempts": [],
            "execution": None,
            "why": None,
            "computed_by": None,
            "beam": None,
            "inputs": [],
            "outputs": [],
            "views": [],
        }
        return Answer("node.html", node, data | empty, {"choice": choice})
    [attempts], [last] = instances.values(), lasts
    rows: list[ArtifactRow] = [
        {"event": event, "artifact": detail.artifacts[event.artifact_id]}
        for event in detail.events
        if event.execution_id == last.id and event.artifact_id in detail.artifacts
    ]
    outputs = [row for row in rows if not row["event"].is_input]
    shown = [row for row in outputs if row["event"].is_output][:MAX_SHOWN]
    data |= {
        "attempts": attempts[::-1],
        "execution": last,
        "why": not_cached.read(visit, last),
        "computed_by": not_cached.computed_by(visit, last, [row["event"] for row in shown]),
        "beam": beam_work.read(last),
        "inputs": [row for row in rows if row["event"].is_input],
        "outputs": outputs,
        "views": [{**row, **typed_view(visit, row["artifact"], choice, wanted)} for row in shown],
    }
    return Answer("node.html", last.label, data, {"choice": choice})


def _is_of(execution: Execution, task_id: str | None, map_index: int | None) -> bool:
    task = execution.task
    if task_id and (task is None or task.task_id != task_id):
        return False
    return map_index is None or (task is not None and task.map_index == map_index)
