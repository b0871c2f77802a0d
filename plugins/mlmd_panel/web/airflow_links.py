"""Makes links to Airflow's own pages, below the path at which Airflow is served."""

from __future__ import annotations

from urllib.parse import quote

from mlmd_panel.store.records import Run, Task


class AirflowLinks:
    """Makes the links; those to missing objects lead to Airflow's own "not found" page."""

    def __init__(self, root: str) -> None:
        """Takes the path of [api] base_url, such as `/` or `/airflow/`."""
        self._root = root.rstrip("/")

    def dag(self, dag_id: str) -> str | None:
        """Page of a DAG."""
        return f"{self._root}/dags/{_quote(dag_id)}"

    def run(self, run: Run) -> str | None:
        """Page of a DAG run; None of a run that belongs to no DAG."""
        if not run.dag_id:
            return None
        return f"{self.dag(run.dag_id)}/runs/{_quote(run.run_id)}"

    def task(self, task: Task) -> str | None:
        """Page of a task instance, with the log of its try."""
        mapped = f"/mapped/{task.map_index}" if task.map_index >= 0 else ""
        run = f"{self.dag(task.dag_id)}/runs/{_quote(task.run_id)}"
        return f"{run}/tasks/{_quote(task.task_id)}{mapped}?try_number={task.try_number}"


def _quote(part: str) -> str:
    return quote(part, safe="")
