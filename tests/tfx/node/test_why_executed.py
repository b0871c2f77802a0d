"""Every node says why it ran, or which run computed what it took from the cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tfx import v1 as tfx

from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import node, why_executed
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]


@pytest.fixture
def run(make_request: MakeRequest, tmp_path: Path) -> Callable[..., NodeResult]:
    """Runs a node of the pipeline of two, with a message."""

    def run(name: str, run_id: str, message: str = "a", cache: bool = True, **task: Any) -> NodeResult:
        (tmp_path / "two.json").unlink(missing_ok=True)
        pipeline = small.write_and_read("two", message)
        pipeline.enable_cache = cache
        return node.run(make_request(pipeline, name, run=run_id, **task))

    return run


@pytest.fixture
def told(address: dict[str, Any]) -> Callable[[NodeResult], dict[str, Any]]:
    """What an execution says."""

    def told(result: NodeResult) -> dict[str, Any]:
        with mlmd_store.open_store(address) as store:
            [execution] = store.get_executions_by_id([result.execution_id])
        return json.loads(execution.custom_properties[why_executed.PROPERTY].string_value)

    return told


Run, Told = Callable[..., NodeResult], Callable[[NodeResult], dict[str, Any]]


def test_first_execution_and_the_parameter_that_made_it_run_again(
    run: Run, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = run("Write", "first")
    assert told(first) == {"reason": "the node has not run before"}
    assert "Not from the cache: the node has not run before." in caplog.text
    second = run("Write", "second", message="b")
    assert told(second) == {
        "reason": "it differs from the earlier execution",
        "compared_with": first.execution_id,
        "run": "flow:first",
        "changes": [["parameter message", "a", "b"]],
        "left_out": 0,
    }
    assert "of run 'flow:first':" in caplog.text and "  parameter message: a -> b" in caplog.text


def test_other_input_is_named_by_its_artifacts(run: Run, told: Told) -> None:
    run("Write", "first")
    run("Read", "first")
    run("Write", "second", message="b")
    second = run("Read", "second", message="b")
    ((what, before, now),) = told(second)["changes"]
    assert (what, before[:8], now[:8]) == ("input text", "String #", "String #") and before != now


def test_what_a_driver_finds_is_told(make_request: MakeRequest, tmp_path: Path, told: Told) -> None:
    rows = tmp_path / "data" / "a.csv"
    rows.parent.mkdir()
    gen = tfx.components.CsvExampleGen(input_base=str(rows.parent))
    pipeline = tfx.dsl.Pipeline("gen", pipeline_root="", components=[gen], enable_cache=True)
    results = []
    for number in range(2):
        rows.write_text("x\n" + "1\n" * (9 + number))
        results.append(node.run(make_request(pipeline, "CsvExampleGen", run=f"run {number}")))
    ((what, before, now),) = told(results[1])["changes"]
    assert what == "parameter input_fingerprint" and before != now
    assert before.startswith("split:single_split") and now.startswith("split:single_split")


def test_nearest_earlier_execution_is_told_not_the_last(run: Run, told: Told) -> None:
    near, far = run("Write", "near"), run("Write", "far", message="b")
    again = run("Write", "again", cache=False)
    assert near.state == far.state == again.state == "executed"
    found = told(again)
    assert (found["compared_with"], found["changes"]) == (near.execution_id, [])
    assert found["reason"] == "the cache is off for this node"


def test_cleared_task_says_so(run: Run, told: Told) -> None:
    run("Write", "first")
    again = run("Write", "first", try_number=2, first_try=2)
    assert again.state == "executed" and told(again)["reason"] == "its task was cleared"


def test_output_that_is_gone_is_the_reason(run: Run, told: Told) -> None:
    first = run("Write", "first")
    uri = first.outputs["text"][0]["uri"]
    shutil.rmtree(Path(uri).parent)
    found = told(run("Write", "second"))
    id_ = first.outputs["text"][0]["id"]
    assert found["changes"] == []
    assert found["reason"] == f"the files of its earlier output String #{id_} are gone: {uri}"


def test_output_that_is_no_longer_live_is_the_reason(run: Run, told: Told, address: dict[str, Any]) -> None:
    first = run("Write", "first")
    with mlmd_store.open_store(address) as store:
        [artifact] = store.get_artifacts_by_id([first.outputs["moment"][0]["id"]])
        artifact.state = artifact.DELETED
        store.put_artifacts([artifact])
    found = told(run("Write", "second"))
    assert found["reason"] == f"its earlier output String #{artifact.id} is deleted"


def test_changed_file_of_the_users_code_is_named(
    make_request: MakeRequest, roots: dict[str, str], told: Told
) -> None:
    flows = Path(roots["BUNDLE_ROOT"]) / "flows"
    flows.mkdir(parents=True)
    (flows / "__init__.py").touch()
    (flows / "model.py").write_text("from flows import layers\n")
    pipeline = tfx.dsl.Pipeline(
        "named", pipeline_root="", components=[small.Write(message="flows.model.run_fn")], enable_cache=True
    )
    for number in (1, 2):
        (flows / "layers.py").write_text(f"N = {number}\n")
        result = node.run(make_request(pipeline, "Write", run=str(number)))
    assert [change[0] for change in told(result)["changes"]] == ["code flows/layers.py"]


def test_cached_node_names_the_run_that_computed_it(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first, second, third = (run("Write", name) for name in ("first", "second", "third"))
    assert (second.state, third.state) == ("cached", "cached")
    for cached in (second, third):
        assert cached.summary["computed_by"] == {"execution": first.execution_id, "run": "flow:first"}
    assert f"From the cache: computed by execution {first.execution_id} of run 'flow:first'." in caplog.text


def test_other_executor_or_beam_arguments_are_named(run: Run, told: Told, address: dict[str, Any]) -> None:
    first = run("Write", "first")
    with mlmd_store.open_store(address) as store:
        [execution] = store.get_executions_by_id([first.execution_id])
        assert execution.custom_properties[why_executed.EXECUTOR_PROPERTY].string_value
        execution.custom_properties[why_executed.EXECUTOR_PROPERTY].string_value = "0" * 16
        store.put_executions([execution])
    second = run("Write", "second", cache=False)
    ((what, before, _),) = told(second)["changes"]
    assert (what, before) == ("executor or Beam arguments", "0" * 16)
