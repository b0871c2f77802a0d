"""One pipeline several times in one run, by task groups and by mapping: no copy ever reads another's data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

from include.tfx_airflow.contract import identity
from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import node
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]
_String = tfx.types.standard_artifacts.String


def _text(result: NodeResult, key: str) -> str:
    [artifact] = result.outputs[key]
    return Path(artifact["uri"]).read_text()


def _group(name: str, *nodes: str, own_history: bool = False) -> dict[str, Any]:
    """What a request says of the copy of the pipeline in a task group."""
    return {
        "task_ids": {node_id: f"{name}.{node_id}" for node_id in nodes},
        "group": identity.group_name("flow", name),
        "own_history": own_history,
    }


def _in(name: str, node_id: str, index: int = -1) -> dict[str, Any]:
    return {"task_id": f"{name}.{node_id}", "map_index": index}


def _pipeline(message: str) -> tfx.dsl.Pipeline:
    write = small.Write(message=message)
    read = small.Read(text=write.outputs["text"])
    return tfx.dsl.Pipeline("region", pipeline_root="", components=[write, read], enable_cache=False)


@pytest.fixture
def make(make_request: MakeRequest, tmp_path: Path) -> Callable[..., NodeResult]:
    """Runs a node of the copy in a task group; copies differ in the message that Write writes."""

    def run(group: str, node_id: str, index: int = -1, message: str = "", **options: Any) -> NodeResult:
        (tmp_path / "region.json").unlink(missing_ok=True)  # the copies have one name
        copy = _group(group, "Write", "Read")
        return node.run(
            make_request(_pipeline(message), node_id, task=_in(group, node_id, index), copy=copy, **options)
        )

    return run


def test_each_task_group_reads_what_it_has_written(make: Callable[..., NodeResult]) -> None:
    for group in ("eu", "us"):
        assert make(group, "Write", message=group).state == "executed"
    assert [_text(make(group, "Read"), "copy") for group in ("eu", "us")] == ["eu", "us"]
    assert [_text(make(group, "Read", try_number=2), "copy") for group in ("us", "eu")] == ["us", "eu"]


def test_each_item_of_a_mapped_group_reads_what_it_has_written(make: Callable[..., NodeResult]) -> None:
    for index in range(3):
        make("each.train", "Write", index, message=f"item {index}")
    found = [_text(make("each.train", "Read", index), "copy") for index in (2, 0, 1)]
    assert found == ["item 2", "item 0", "item 1"]


def test_clearing_one_copy_leaves_the_other_alone(make: Callable[..., NodeResult]) -> None:
    for group in ("eu", "us"):
        make(group, "Write", message=group)
    make("eu", "Write", message="eu again", try_number=2, first_try=2)
    found = [_text(make(group, "Read", try_number=2, first_try=2), "copy") for group in ("eu", "us")]
    assert found == ["eu again", "us"]


def test_a_copy_whose_producer_has_not_run_finds_nothing(make: Callable[..., NodeResult]) -> None:
    make("eu", "Write", message="eu")
    result = make("us", "Read")
    assert result.state == "failed" and "text" in result.message


def test_a_dead_try_of_one_copy_is_no_other_copys_business(
    make: Callable[..., NodeResult], address: dict[str, Any]
) -> None:
    running = make("eu", "Write", message="eu").execution_id

    def state(new: int | None = None) -> str:
        with mlmd_store.open_store(address) as store:
            [execution] = store.get_executions_by_id([running])
            if new is not None:
                execution.last_known_state = new
                store.put_executions([execution])
        return metadata_store_pb2.Execution.State.Name(execution.last_known_state)

    state(metadata_store_pb2.Execution.RUNNING)  # as while its executor works
    make("us", "Write", message="us")
    assert state() == "RUNNING"
    make("eu", "Write", message="eu", try_number=2)
    assert state() == "FAILED"


@pytest.mark.parametrize("enable_cache", [True, False])
def test_a_retry_takes_what_its_own_earlier_try_has_finished_and_no_other_copys(
    make_request: MakeRequest, enable_cache: bool
) -> None:
    write = small.Write(message="same")  # of two copies that look alike to TFX's cache
    pipeline = tfx.dsl.Pipeline("alike", pipeline_root="", components=[write], enable_cache=enable_cache)

    def run(group: str, **options: int) -> NodeResult:
        copy = _group(group, "Write")
        return node.run(make_request(pipeline, "Write", task=_in(group, "Write"), copy=copy, **options))

    eu = run("eu")
    us = run("us", try_number=2, first_try=2)
    again = run("eu", try_number=2)
    assert again.state == "cached" and again.outputs == eu.outputs
    assert (us.outputs == eu.outputs) is enable_cache


def _with_history(message: str) -> tfx.dsl.Pipeline:
    write = small.Write(message=message)
    latest = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        text=tfx.dsl.Channel(type=_String, producer_component_id="Write", output_key="text"),
    ).with_id("latest")
    read = small.Read(text=latest.outputs["text"])
    return tfx.dsl.Pipeline("region", pipeline_root="", components=[write, latest, read], enable_cache=False)


@pytest.mark.parametrize(("own_history", "expected"), [(True, ["eu", "us"]), (False, ["us", "us"])])
def test_a_resolver_finds_what_earlier_runs_of_its_own_copy_made(
    make_request: MakeRequest, tmp_path: Path, own_history: bool, expected: list[str]
) -> None:
    def run(run_id: str, group: str, node_id: str, message: str = "") -> NodeResult:
        (tmp_path / "region.json").unlink(missing_ok=True)
        copy = _group(group, "Write", "latest", "Read", own_history=own_history)
        return node.run(
            make_request(_with_history(message), node_id, run=run_id, task=_in(group, node_id), copy=copy)
        )

    for group in ("eu", "us"):
        run("first", group, "Write", group)
    found = []
    for group in ("eu", "us"):
        assert run("second", group, "latest").state == "executed"
        found.append(_text(run("second", group, "Read"), "copy"))
    assert found == expected


def test_ids_as_long_as_airflow_allows_serve(make_request: MakeRequest, address: dict[str, Any]) -> None:
    pipeline = small.write_and_read("p" * 63)
    texts = []
    for last in "ab":
        ids = {"dag_id": "d" * 250, "run_id": "r" * 249 + last}
        tasks = {name: "g" * 240 + f".{name}" for name in ("Write", "Read")}
        for name in ("Write", "Read"):
            request = make_request(
                pipeline,
                name,
                task={**ids, "task_id": tasks[name]},
                copy={"task_ids": tasks, "group": identity.group_name(ids["dag_id"], "g" * 240)},
            )
            result = node.run(request)
            assert result.state in ("executed", "cached"), result.message
        texts.append(_text(result, "copy"))
    assert texts[0] == texts[1]  # from the cache
    with mlmd_store.open_store(address) as store:
        names = [context.name for context in store.get_contexts()]
    assert {len(name) <= 255 for name in names} == {True}
    assert len([name for name in names if name.startswith("d" * 200)]) == 2 * (1 + 2 * 2) + 1
