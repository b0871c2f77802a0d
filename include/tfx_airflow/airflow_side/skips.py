"""Decides, in the task itself, whether skips upstream mean that it is skipped too, and why.

Airflow's trigger rule knows only that an upstream task was skipped. Whether the node needs that task's output is in the
manifest: see `tfx_side/pipeline/skippable.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
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
    others: Mapping[str, bool] | None = None,
) -> Skip | None:
    """Why a node has to be skipped before it is tried; None when it can run.

    Args:
      context: Airflow's, of the running task.
      node: Its node.
      task_ids: Task id by node id, of the same copy of the pipeline.
      rule: The task's trigger rule.
      others: Ids of the upstream tasks that are not nodes of this copy, each with whether it is in the same mapped task
        group: there only the task instance of the same item counts. When one is skipped, so is this task; of a mapped
        task, as for Airflow's `all_success`, when one of its task instances is.
    """
    if rule == "all_success" or not node.upstream:
        return None
    index = _map_index(context)
    skipped = _skipped_nodes(context, {name: task_ids[name] for name in node.upstream}, index)
    for names in node.required:
        if all(name in skipped for name in names):
            return skipped[names[0]]
    if rule != "none_failed":
        return None
    for skip in skipped.values():
        if skip.outside:
            return skip
    for task_id, same_item in (others or {}).items():
        if outside := _skip_outside(context, task_id, index if same_item else None):
            return outside
    return None


def without_output(
    context: Mapping[str, Any], node: Node, task_ids: Mapping[str, str], rule: str
) -> tuple[str, ...]:
    """The upstream nodes that have made nothing: what they made before they were cleared is not this run's.

    Args:
      context: Airflow's, of the running task.
      node: Its node.
      task_ids: Task id by node id, of the same copy of the pipeline.
      rule: The task's trigger rule.
    """
    if rule == "all_success" or not node.upstream:
        return ()
    found = _nodes(context, {name: task_ids[name] for name in node.upstream}, _map_index(context))
    return tuple(name for name, (state, _) in found.items() if state not in (None, "success"))


def _map_index(context: Mapping[str, Any]) -> int:
    return context["ti"].map_index if context["ti"].map_index is not None else -1


def _skipped_nodes(context: Mapping[str, Any], task_ids: Mapping[str, str], index: int) -> dict[str, Skip]:
    """Which of these nodes were skipped; `index` is the map index of their tasks."""
    return {
        name: _reason(context, task_ids[name], place) or Skip(name, NO_REASON, outside=True)
        for name, (state, place) in _nodes(context, task_ids, index).items()
        if state == "skipped"
    }


def _nodes(context: Mapping[str, Any], task_ids: Mapping[str, str], index: int) -> dict[str, tuple[Any, int]]:
    """State and map index of the task instances of these nodes; `index` is the map index of their tasks."""
    states = _states(context, task_ids.values(), index)
    found = {}
    for name, task_id in task_ids.items():
        state, place = states.get(task_id if index < 0 else f"{task_id}_{index}"), index
        if state is None and index >= 0:
            # Never expanded: a branch before the mapped group skips its first tasks as a whole.
            state, place = _states(context, [task_id]).get(task_id), -1
        found[name] = state, place
    return found


def _skip_outside(context: Mapping[str, Any], task_id: str, index: int | None) -> Skip | None:
    """Why a task that is not a node of this copy was skipped; None when it was not.

    Args:
      context: Airflow's, of the running task.
      task_id: Its id.
      index: Map index of its task instance that counts; None when all count.
    """
    # One task at a time: the first instance of a mapped `check` is called `check_0` here, like a task of that id.
    states = _states(context, [task_id])
    skipped = [int(key[len(task_id) + 1 :] or -1) for key, state in states.items() if state == "skipped"]
    # Skipped before it was expanded, a task has the index -1, and counts for every item.
    counting = [found for found in sorted(skipped) if index is None or found in (index, -1)]
    if not counting:
        return None
    first = counting[0]
    name = task_id if first in (index, -1) else f"{task_id}[{first}]"
    inner = _reason(context, task_id, first)
    if inner is None:
        return Skip(name, NO_REASON, outside=True)
    # Another pipeline's nodes may be called like those of this one: the task's id tells them apart.
    own = task_id == inner.node or task_id.endswith(f".{inner.node}")
    return Skip(name, inner.message(inner.node if own else task_id), outside=True)


def _states(context: Mapping[str, Any], task_ids: Iterable[str], index: int = -1) -> dict[str, Any]:
    """States by task id, with `_<map index>` behind it for an instance of a mapped task; -1 asks for all instances."""
    instance, run_id = context["ti"], context["run_id"]
    states = instance.get_task_states(
        dag_id=instance.dag_id, map_index=index, task_ids=sorted(set(task_ids)), run_ids=[run_id]
    )
    return states.get(run_id, {})


def _reason(context: Mapping[str, Any], task_id: str, index: int) -> Skip | None:
    """What a skipped task says itself."""
    fields = context["ti"].xcom_pull(task_ids=task_id, map_indexes=index, key=XCOM_KEY)
    return Skip(**fields) if fields else None
