"""Links from a task to its pages in the panel. They are only URLs, so a deployment without the panel loses nothing else."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from airflow.sdk import BaseOperatorLink

_PANEL = "mlmd/"  # where the plugin mounts it


class ArtifactsLink(BaseOperatorLink):
    """The button "Artifacts" of a task: opens what it made and used in the panel."""

    name = "Artifacts"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the task instance's node page.

        Args:
          operator: The task; not needed.
          ti_key: A task instance, or its key.
        """
        return panel_url(ti_key.dag_id, ti_key.run_id, ti_key.task_id, ti_key.map_index)


class EvaluationDiffLink(BaseOperatorLink):
    """The button "Evaluation diff" of an Evaluator's task: opens its evaluation beside that of the last blessed run."""

    name = "Evaluation diff"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the page that compares the run.

        Args:
          operator: The task; not needed.
          ti_key: A task instance, or its key.
        """
        query = urlencode({"dag_id": ti_key.dag_id, "run_id": ti_key.run_id})
        return f"{_panel()}compare?{query}"


def panel_url(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    """Address of a node's page below [api] base_url; without that only its path."""
    index = -1 if map_index is None else map_index
    query = urlencode({"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": index})
    return f"{_panel()}?{query}"


def _panel() -> str:
    from airflow.configuration import conf

    root = (conf.get("api", "base_url", fallback=None) or "/").rstrip("/")
    return f"{root}/{_PANEL}"
