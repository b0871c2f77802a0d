"""Under the real scheduler: one pipeline several times in a DAG, at work at once, and nodes that are skipped."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

from tests.bundle import Bundle
from tests.scheduler import Scheduler

_FILE = """
import time
from datetime import datetime
from airflow.sdk import DAG, task, task_group
from airflow.sdk.exceptions import AirflowSkipException
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig, range_config

PIPELINES = "tests.pipelines.copies"
OPTIONS = {"schedule": None, "start_date": datetime(2014, 1, 1)}

with DAG("groups", **OPTIONS):
    for region in ("eu", "us"):
        AirflowDagRunner().task_group(f"{PIPELINES}:region", group_id=region, what=region, seconds=3.0)

with DAG("mapped", params={"regions": []}, **OPTIONS):
    @task
    def find(params):
        return params["regions"]

    @task_group
    def each(region):
        AirflowDagRunner(AirflowPipelineConfig(computed_parameters={"what": region})).task_group(
            f"{PIPELINES}:region", group_id="train", seconds=1.0
        )

    each.expand(region=find())

with DAG("optional", **OPTIONS):
    AirflowDagRunner().task_group(f"{PIPELINES}:optional", group_id="all")

with DAG("checked", **OPTIONS) as checked:
    @task
    def check():
        raise AirflowSkipException("not today")

    AirflowDagRunner({"node_configs": {"Late": {"trigger_rule": "none_failed"}}}).task_group(
        f"{PIPELINES}:optional", group_id="all"
    )
    check() >> [checked.get_task("all.Trainer"), checked.get_task("all.Late")]

with DAG("branched", **OPTIONS):
    @task.branch
    def choose():
        return []

    group = AirflowDagRunner().task_group(f"{PIPELINES}:optional", group_id="all")
    choose() >> group

with DAG("checked_each", **OPTIONS) as checked_each:
    @task
    def check(region):
        if region == "us":
            raise AirflowSkipException("not today")

    AirflowDagRunner().task_group(f"{PIPELINES}:optional", group_id="all")
    check.expand(region=["eu", "us"]) >> checked_each.get_task("all.Late")

with DAG("two", **OPTIONS) as two:
    for name in ("judge", "deploy"):
        AirflowDagRunner().task_group(f"{PIPELINES}:optional", group_id=name)
    two.get_task("judge.Tuner") >> two.get_task("deploy.Late")

with DAG("branched_each", **OPTIONS):
    @task.branch
    def choose():
        return []

    @task
    def find():
        time.sleep(5)  # until the branch is done: the mapped group is not expanded before this
        return ["eu", "us"]

    @task_group
    def each(region):
        AirflowDagRunner(AirflowPipelineConfig(computed_parameters={"what": region})).task_group(
            f"{PIPELINES}:region", group_id="train", seconds=0.0
        )

    choose() >> each.expand(region=find())

with DAG("mapped_spans", **OPTIONS):
    @task
    def wait():
        return {"span": 201403}

    @task_group
    def each(region):
        @task
        def wait(region):
            return {"span": {"eu": 201401, "us": 201402}[region]}

        inside, before = (
            AirflowDagRunner(
                AirflowPipelineConfig(computed_parameters={"what": range_config(sensor)}, copy=region)
            ).task_group(f"{PIPELINES}:region", group_id=group_id, seconds=0.0)
            for group_id, sensor in (("inside", "each.wait"), ("before", "wait"))
        )
        wait(region) >> inside

    wait() >> each.expand(region=["eu", "us"])
"""


@pytest.fixture(scope="module", autouse=True)
def _dags(add_dags: Callable[[str, str], None]) -> None:
    add_dags("copies", _FILE)


@pytest.fixture(scope="module")
def runs(scheduler: Scheduler, _dags: None) -> dict[str, str]:
    """By its DAG, the id of a run; they are at work at once. Not of `branched_each`, whose branch has to be in time."""
    once = ("mapped_spans", "optional", "checked", "checked_each", "two", "branched")
    return {dag_id: scheduler.trigger(dag_id) for dag_id in once}


def _instances(scheduler: Scheduler, dag_id: str, run_id: str) -> dict[str, str]:
    path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}/taskInstances?limit=200"
    found = {}
    for task in scheduler.call("GET", path)["task_instances"]:
        index = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
        found[task["task_id"] + index] = task["state"]
    return found


def _value(
    scheduler: Scheduler, dag_id: str, run_id: str, task_id: str, index: int = -1, key: str = "return_value"
) -> dict[str, Any]:
    """An XCom of a task instance."""
    run = urllib.parse.quote(run_id, safe="")
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}/xcomEntries/{key}"
    value = scheduler.call("GET", f"{path}?map_index={index}")["value"]
    return json.loads(value) if isinstance(value, str) else value


def _text(scheduler: Scheduler, dag_id: str, run_id: str, task_id: str, index: int = -1) -> str:
    """What a node's only output says."""
    outputs = _value(scheduler, dag_id, run_id, task_id, index)["outputs"]
    [artifact] = next(iter(outputs.values()))
    with open(artifact["uri"]) as file:
        return file.read()


def _run(scheduler: Scheduler, dag_id: str, **conf: Any) -> str:
    return _succeeded(scheduler, dag_id, scheduler.trigger(dag_id, conf=conf))


def _succeeded(scheduler: Scheduler, dag_id: str, run_id: str) -> str:
    """Waits for the end of a run; returns its id."""
    states = scheduler.wait_for_run(dag_id, run_id, 1200), _instances(scheduler, dag_id, run_id)
    assert states[0] == "success", states
    return run_id


def test_task_groups_of_one_pipeline_at_work_at_once_keep_to_their_own(
    bundle: Bundle, scheduler: Scheduler
) -> None:
    first = _run(scheduler, "groups")
    assert {group: _text(scheduler, "groups", first, f"{group}.Tell") for group in ("eu", "us")} == {
        "eu": "None eu",
        "us": "None us",
    }
    assert {e.state for e in bundle.executions("groups", first)} == {"COMPLETE"}
    second = _run(scheduler, "groups")  # in which each looks into the run before
    assert {group: _text(scheduler, "groups", second, f"{group}.Tell") for group in ("eu", "us")} == {
        "eu": "eu eu",
        "us": "us us",
    }
    scheduler.clear("groups", second, "eu.Say")
    scheduler.wait_for_try("groups", second, "eu.Tell", 2)
    assert scheduler.wait_for_run("groups", second) == "success"
    assert _text(scheduler, "groups", second, "eu.Tell") == "eu eu"
    assert scheduler.tasks("groups", second)["us.Tell"]["try_number"] == 1


def test_items_of_a_mapped_group_keep_to_their_own_whatever_their_map_index(scheduler: Scheduler) -> None:
    first = _run(scheduler, "mapped", regions=["eu", "us", "asia"])
    found = [_text(scheduler, "mapped", first, "each.train.Tell", index) for index in range(3)]
    assert found == ["None eu", "None us", "None asia"]
    second = _run(scheduler, "mapped", regions=["asia", "eu"])
    found = [_text(scheduler, "mapped", second, "each.train.Tell", index) for index in range(2)]
    assert found == ["asia asia", "eu eu"]


def test_items_of_a_mapped_group_have_the_span_of_a_sensor_in_it_or_before_it(
    scheduler: Scheduler, runs: dict[str, str]
) -> None:
    run_id = _succeeded(scheduler, "mapped_spans", runs["mapped_spans"])
    found = {
        (group, index): _text(scheduler, "mapped_spans", run_id, f"each.{group}.Tell", index)
        for group in ("inside", "before")
        for index in range(2)
    }
    spans = {("inside", 0): 201401, ("inside", 1): 201402, ("before", 0): 201403, ("before", 1): 201403}
    assert found == {
        place: f'None {{"static_range": {{"start_span_number": {span}, "end_span_number": {span}}}}}'
        for place, span in spans.items()
    }


def test_node_runs_without_an_optional_input_whose_producer_was_skipped(
    scheduler: Scheduler, runs: dict[str, str]
) -> None:
    run_id = _succeeded(scheduler, "optional", runs["optional"])
    states = _instances(scheduler, "optional", run_id)
    skipped = {name for name, state in states.items() if state == "skipped"}
    assert skipped == {"all.Tuner", "all.Chain"}
    assert _text(scheduler, "optional", run_id, "all.Trainer") == "None no"
    assert _text(scheduler, "optional", run_id, "all.Late") == "None None"
    assert _text(scheduler, "optional", run_id, "all.After") == "after"


def test_every_skip_says_why(bundle: Bundle, scheduler: Scheduler, runs: dict[str, str]) -> None:
    run_id = _succeeded(scheduler, "optional", runs["optional"])
    tuner, chain = (
        _value(scheduler, "optional", run_id, f"all.{node}", key="tfx_skip") for node in ("Tuner", "Chain")
    )
    assert tuner["node"] == "Tuner" and '"yes"' in tuner["reason"]
    assert tuner["reason"].startswith("its Cond is false: ")
    assert chain == tuner
    for node, start in (
        ("Tuner", "Say 'Tuner' was skipped: its Cond"),
        ("Chain", "Echo 'Chain' was skipped: Tuner"),
    ):
        assert start in scheduler.log("optional", run_id, f"all.{node}")
    report = bundle.command("report", "optional").stdout
    assert re.search(r"all\.Chain +skipped +[0-9.]+ +Tuner was skipped: its Cond is false", report), report


def test_skipped_task_that_is_no_node_means_the_node_after_it_unless_its_rule_says_otherwise(
    scheduler: Scheduler, runs: dict[str, str]
) -> None:
    states = _instances(scheduler, "checked", _succeeded(scheduler, "checked", runs["checked"]))
    skipped = {name for name, state in states.items() if state == "skipped"}
    assert skipped == {"check", "all.Tuner", "all.Chain", "all.Trainer"}


def test_one_skipped_instance_of_a_mapped_task_means_the_node_after_it(
    scheduler: Scheduler, runs: dict[str, str]
) -> None:
    run_id = _succeeded(scheduler, "checked_each", runs["checked_each"])
    states = _instances(scheduler, "checked_each", run_id)
    skipped = {name for name, state in states.items() if state == "skipped"}
    assert skipped == {"check[1]", "all.Tuner", "all.Chain", "all.Late"}
    skip = _value(scheduler, "checked_each", run_id, "all.Late", key="tfx_skip")
    assert skip == {"node": "check[1]", "reason": "by Airflow", "outside": True}


def test_skipped_node_of_another_pipeline_means_the_node_after_it(
    scheduler: Scheduler, runs: dict[str, str]
) -> None:
    run_id = _succeeded(scheduler, "two", runs["two"])
    states = _instances(scheduler, "two", run_id)
    skipped = {name for name, state in states.items() if state == "skipped"}
    assert skipped == {f"{group}.{node}" for group in ("judge", "deploy") for node in ("Tuner", "Chain")} | {
        "deploy.Late"
    }
    skip = _value(scheduler, "two", run_id, "deploy.Late", key="tfx_skip")
    assert skip["node"] == "judge.Tuner" and skip["reason"].startswith("its Cond is false: ")
    assert "Tell 'Late' was skipped: judge.Tuner was skipped: its Cond" in scheduler.log(
        "two", run_id, "deploy.Late"
    )


def test_branch_before_a_mapped_group_skips_the_nodes_of_each_item(
    bundle: Bundle, scheduler: Scheduler
) -> None:
    run_id = _run(scheduler, "branched_each")
    states = _instances(scheduler, "branched_each", run_id)
    items = {f"each.train.{node}[{index}]" for node in ("Echo", "Tell") for index in range(2)}
    assert items <= set(states)
    nodes = {name: state for name, state in states.items() if name.startswith("each.")}
    assert set(nodes.values()) == {"skipped"}, nodes
    assert bundle.executions("branched_each", run_id) == []


def test_branch_that_is_not_taken_skips_the_nodes_that_could_do_without_too(
    bundle: Bundle, scheduler: Scheduler, runs: dict[str, str]
) -> None:
    run_id = _succeeded(scheduler, "branched", runs["branched"])
    states = _instances(scheduler, "branched", run_id)
    assert {name: state for name, state in states.items() if name != "choose"} == {
        f"all.{node}": "skipped" for node in ("Switch", "Tuner", "Trainer", "Chain", "Late", "After")
    }
    assert bundle.executions("branched", run_id) == []
