"""When a task is skipped because others were, and what it says then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from include.tfx_airflow import TfxNodeOperator
from include.tfx_airflow.airflow_side.compiled import Compiled
from include.tfx_airflow.airflow_side.skips import Skip, skip_after, without_output
from include.tfx_airflow.contract.manifest import Node

# As compiled: Gen or Tuner may be skipped, and Late can do without Tuner.
LATE = Node(
    "Late", "Trainer", "t", upstream=("Gen", "Tuner"), required=(("Gen",),), trigger_rule="none_failed"
)
NODES = {name: f"deploy.{name}" for name in ("Gen", "Tuner", "Late")}
COND = {"node": "Pusher", "reason": "its Cond is false", "outside": False}


class Instance:
    """A task instance among others of its run, as Airflow's execution API tells of them."""

    def __init__(
        self,
        states: dict[tuple[str, int], str],
        index: int = -1,
        said: dict[tuple[str, int], Any] | None = None,
    ):
        """Takes the states of all by task id and map index, and what the skipped ones said."""
        self.dag_id, self.map_index = "d", index
        self._states, self._said = states, said or {}
        self.pushed: dict[str, Any] = {}

    def get_task_states(
        self, *, dag_id: str, map_index: int, task_ids: Sequence[str], run_ids: list[str]
    ) -> dict[str, Any]:
        """As `execution_api/routes/task_instances.py`; a client sends no index below 0."""
        assert (dag_id, run_ids) == ("d", ["r"])
        found = {
            task_id if index < 0 else f"{task_id}_{index}": state
            for (task_id, index), state in self._states.items()
            if task_id in task_ids and (map_index < 0 or index == map_index)
        }
        return {"r": found} if found else {}

    def xcom_pull(self, *, task_ids: str, map_indexes: int, key: str) -> Any:
        """One XCom."""
        assert key == "tfx_skip"
        return self._said.get((task_ids, map_indexes))

    def xcom_push(self, key: str, value: Any) -> None:
        """Keeps the value."""
        self.pushed[key] = value


def _states(index: int = -1, **others: str) -> dict[tuple[str, int], str]:
    return {(NODES["Gen"], index): "success", (NODES["Tuner"], index): "success"} | {
        (name, -1): state for name, state in others.items()
    }


def _skip(
    instance: Instance, others: dict[str, bool] | None = None, rule: str = "none_failed"
) -> Skip | None:
    return skip_after({"ti": instance, "run_id": "r"}, LATE, NODES, rule, others)


def test_a_task_outside_that_was_skipped_skips_the_node() -> None:
    others = {"check": False}
    assert _skip(Instance(_states(check="success")), others) is None
    assert _skip(Instance(_states(check="skipped")), others) == Skip("check", "by Airflow", outside=True)
    assert _skip(Instance(_states(check="skipped")), others, rule="all_done") is None


@pytest.mark.parametrize("skipped", [(0, 1), (1,)], ids=["all", "one"])
def test_a_skipped_instance_of_a_mapped_task_outside_skips_the_node(skipped: tuple[int, ...]) -> None:
    states = {("check", index): "skipped" if index in skipped else "success" for index in range(2)}
    said = {("check", 1): {"node": "check", "reason": "nothing came", "outside": True}}
    skip = _skip(Instance(_states() | states, said=said), {"check": False})
    reason = "by Airflow" if 0 in skipped else "nothing came"
    assert skip == Skip(f"check[{skipped[0]}]", reason, outside=True)


def test_a_mapped_task_that_ran_is_not_taken_for_a_skipped_one_of_another_id() -> None:
    states = _states(check_0="skipped") | {("check", 0): "success", ("check", 1): "success"}
    assert _skip(Instance(states), {"check": False}) is None
    assert _skip(Instance(states), {"check": False, "check_0": False}) == Skip("check_0", "by Airflow", True)


def test_in_a_mapped_group_only_the_instance_of_the_same_item_counts() -> None:
    states = {("each.check", 0): "skipped", ("each.check", 1): "success"}
    others = {"each.check": True}
    assert _skip(Instance(_states(0) | states, 0), others) == Skip("each.check", "by Airflow", outside=True)
    assert _skip(Instance(_states(1) | states, 1), others) is None
    # Mapped somewhere else, every instance counts.
    skip = _skip(Instance(_states(1) | states, 1), {"each.check": False})
    assert skip == Skip("each.check[0]", "by Airflow", outside=True)


def test_a_task_that_was_skipped_before_its_group_was_expanded_counts_for_every_item() -> None:
    assert _skip(Instance(_states(1) | {("each.check", -1): "skipped"}, 1), {"each.check": True})
    states = {(NODES["Gen"], 1): "success", (NODES["Tuner"], -1): "skipped"}
    assert _skip(Instance(states, 1)) == Skip("Tuner", "by Airflow", outside=True)


def test_a_node_of_another_pipeline_is_outside_and_named_by_its_task() -> None:
    states = {("judge.Pusher", -1): "skipped"}
    skip = _skip(Instance(_states() | states, said={("judge.Pusher", -1): COND}), {"judge.Pusher": False})
    assert skip == Skip("judge.Pusher", "its Cond is false", outside=True)
    assert skip.message("Pusher") == "judge.Pusher was skipped: its Cond is false"
    said = {("judge.Pusher", -1): {**COND, "node": "Evaluator"}}
    skip = _skip(Instance(_states() | states, said=said), {"judge.Pusher": False})
    assert skip == Skip("judge.Pusher", "Evaluator was skipped: its Cond is false", outside=True)


def test_a_task_outside_is_no_input_even_with_the_id_of_a_node() -> None:
    instance = Instance(_states(Gen="skipped"))
    assert _skip(instance, {"Gen": False}, rule="all_done") is None
    assert _skip(instance, {"Gen": False}) == Skip("Gen", "by Airflow", outside=True)


def test_a_node_of_the_same_copy_that_was_skipped_matters_as_an_input_only() -> None:
    said = {(NODES[name], -1): {**COND, "node": name} for name in ("Gen", "Tuner")}
    assert _skip(Instance(_states() | {(NODES["Tuner"], -1): "skipped"}, said=said)) is None
    skip = _skip(Instance(_states() | {(NODES["Gen"], -1): "skipped"}, said=said))
    assert skip == Skip("Gen", "its Cond is false")


def _node(node_id: str, upstream: tuple[str, ...] = (), **options: Any) -> TfxNodeOperator:
    node = Node(node_id, "Trainer", "t", upstream=upstream, trigger_rule="none_failed")
    compiled: Compiled = None  # type: ignore[assignment]  # not looked at before the skip
    return TfxNodeOperator(
        task_id=node_id,
        tfx_node=node,
        compiled=compiled,
        runtime_parameters={},
        trigger_rule="none_failed",
        **{"rule_is_given": False, **options},
    )


def _group(**options: Any) -> TfxNodeOperator:
    first, late = _node("First"), _node("Late", ("First",), **options)
    first >> late
    late.node_tasks = {"First": first.task_id, "Late": late.task_id}
    return late


def _execute(operator: TfxNodeOperator, instance: Instance) -> dict[str, Any]:
    with pytest.raises(AirflowSkipException):
        TfxNodeOperator.execute.__wrapped__(operator, {"ti": instance, "run_id": "r"})  # type: ignore[attr-defined]
    return instance.pushed["tfx_skip"]


def test_a_node_looks_at_all_instances_of_a_mapped_task_before_it() -> None:
    with DAG("d"):

        @task
        def check(region: str) -> None:
            raise AirflowSkipException

        late = _group()
        check.expand(region=["eu", "us"]) >> late
    states = {("First", -1): "success", ("check", 0): "skipped", ("check", 1): "skipped"}
    assert _execute(late, Instance(states)) == {"node": "check[0]", "reason": "by Airflow", "outside": True}


def test_a_node_in_a_mapped_group_looks_at_its_own_item_of_tasks_in_that_group() -> None:
    found: list[TfxNodeOperator] = []
    with DAG("d"):
        before = BaseOperator(task_id="before")

        @task_group
        def each(region: str) -> None:
            check = BaseOperator(task_id="check")
            late = _group()
            [before, check] >> late
            found.append(late)

        each.expand(region=["eu", "us"])
    [late] = found
    assert late._other_tasks() == {"before": False, "each.check": True}
    states = {("each.First", 1): "success", ("before", -1): "success", ("each.check", 1): "skipped"}
    skip = _execute(late, Instance(states, 1))
    assert skip == {"node": "each.check", "reason": "by Airflow", "outside": True}


def test_a_rule_of_the_author_alone_decides_on_tasks_outside() -> None:
    with DAG("d"):
        late = _group(rule_is_given=True)
        BaseOperator(task_id="check") >> late
    assert late._other_tasks() == {}


@pytest.mark.parametrize("index", [-1, 1])
def test_upstream_nodes_that_made_nothing_are_named(index: int) -> None:
    def absent(state: str, rule: str = "none_failed") -> tuple[str, ...]:
        states = _states(index) | {(NODES["Tuner"], index): state, (NODES["Tuner"], 0): "success"}
        states |= {(NODES["Tuner"], index): state}
        return without_output({"ti": Instance(states, index), "run_id": "r"}, LATE, NODES, rule)

    assert absent("success") == ()
    assert absent("skipped") == absent("failed", "all_done") == absent("upstream_failed") == ("Tuner",)
    assert absent("skipped", "all_success") == ()  # Airflow would not have come so far
