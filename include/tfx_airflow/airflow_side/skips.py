"""Decides, in the task itself, whether skips upstream mean that it is skipped too, and why.

Airflow's trigger rule knows only that an upstream task was skipped. Whether the node needs that task's output is in the
manifest: see `tfx_side/pipeline/skippable.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from include.tfx_airflow.contract.manifest import Node

# The XCom of a skipped task: the fields of a `Skip`. Its `return_value` stays empty, as for any skipped task.
XCOM_KEY = "tfx_skip"
# Of a skipped task without that XCom: its trigger rule skipped it, or it is not a node and left no reason.
NO_REASON = "by Airflow"


@dataclasses.dataclass(frozen=True)
class Skip:
    """Why a task is skipped.

    Attributes:
      node: The node that was skipped first.
      reason: Why that one was skipped.
      outside: Whether the reason lies outside the pipeline, as when a branch was not taken. Such a skip
        extends to every node downstream, even one that does not need the output.
    """

    node: str
    reason: str
    outside: bool = False

    def message(self, node: str) -> str:
        """Why a node is skipped, for people."""
        return self.reason if node == self.node else f"{self.node} was skipped: {self.reason}"


def skip_after(
    context: Mapping[str, Any],
    node: Node,
    task_ids: Mapping[str, str],
    rule: str,
    others: Collection[str] = (),
) -> Skip | None:
    """Why a node has to be skipped before it is tried; None when it can run.

    Args:
      context: Airflow's, of the running task.
      node: Its node.
      task_ids: Task id by node id, of the same copy of the pipeline.
      rule: The task's trigger rule.
      others: Upstream tasks that are not nodes of the pipeline; when one is skipped, so is this task.
    """
    if rule == "all_success" or not node.upstream:
        return None
    index = context["ti"].map_index if context["ti"].map_index is not None else -1
    skipped = _skipped(context, {name: task_ids[name] for name in node.upstream}, index)
    for place in {index, -1} if others else ():  # in the same mapped task group, or before it
        skipped |= _skipped(context, {task_id: task_id for task_id in others}, place)
    for names in node.required:
        if all(name in skipped for name in names):
            return skipped[names[0]]
    outside = [skip for skip in skipped.values() if skip.outside]
    return outside[0] if outside and rule == "none_failed" else None


def _skipped(context: Mapping[str, Any], task_ids: Mapping[str, str], index: int) -> dict[str, Skip]:
    """Which of these tasks were skipped, by their names here; `index` is their map index."""
    instance, run_id = context["ti"], context["run_id"]
    states = instance.get_task_states(
        dag_id=instance.dag_id,
        map_index=index,
        task_ids=sorted(set(task_ids.values())),
        run_ids=[run_id],
    )
    key = "{}" if index < 0 else f"{{}}_{index}"
    skipped = {}
    for name, task_id in task_ids.items():
        if states.get(run_id, {}).get(key.format(task_id)) == "skipped":
            fields = instance.xcom_pull(task_ids=task_id, map_indexes=index, key=XCOM_KEY)
            skipped[name] = Skip(**fields) if fields else Skip(name, NO_REASON, outside=True)
    return skipped
