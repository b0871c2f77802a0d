"""Redirects from the address that Airflow's tabs open to the page of the run or task instance."""

from __future__ import annotations

from mlmd_panel.errors import NotFound
from mlmd_panel.web.links import node_url
from mlmd_panel.web.request import Text, Visiting


def destination(
    visit: Visiting, dag_id: Text = None, run_id: Text = None, task_id: Text = None, map_index: Text = None
) -> str:
    """Link to the page of the task instance or run that the query names; without a DAG id, to the pipelines.

    A mapped task without an index leads to the list of its instances, and a task that is not a node, or has not run
    yet, to its run. A DAG run that ML Metadata has no record of is a NotFound. Placeholders that Airflow left unfilled
    are ignored.
    """
    dag_id, run_id, task_id = (None if not v or v.startswith("{") else v for v in (dag_id, run_id, task_id))
    if not dag_id:
        return visit.urls.to("pipelines")
    if not run_id:
        return visit.urls.to("runs", dag_id=dag_id)
    try:
        run = visit.store.run_named(dag_id, run_id, visit.dags)
    except NotFound:
        raise NotFound(
            f"ML Metadata has no record of run '{run_id}' of DAG '{dag_id}': none of its TFX nodes has started yet, "
            "it is not a TFX pipeline, or it uses another store."
        ) from None
    if task_id:
        (detail,) = visit.store.run_details([run])
        nodes = {e.node for e in detail.executions if e.task and e.task.task_id == task_id}
        index = int(map_index) if map_index and map_index.isdecimal() else -1
        for execution in detail.executions:
            task = execution.task
            if task and (task.task_id, task.map_index) == (task_id, index):
                return node_url(visit.urls, run.id, execution)
        if nodes and index < 0:
            return visit.urls.to("runs", run.id, "nodes", nodes.pop(), task_id=task_id)
        # Written by others, without tasks.
        names = (task_id, task_id.rpartition(".")[2])
        for execution in detail.executions:
            if execution.task is None and execution.node in names:
                return node_url(visit.urls, run.id, execution)
    return visit.urls.to("runs", run.id)
