"""One node of one run, in this process, through TFX's own launcher on a SQLite store."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

from include.tfx_airflow.contract.errors import ManifestError, MlmdError
from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import node
from tests.pipelines import copies, small
from tests.server import wait_until

MakeRequest = Callable[..., NodeRequest]
_Execution = metadata_store_pb2.Execution


def _text(result: NodeResult, key: str) -> str:
    [artifact] = result.outputs[key]
    return Path(artifact["uri"]).read_text()


def _execution(address: dict[str, Any], number: int) -> metadata_store_pb2.Execution:
    with mlmd_store.open_store(address) as store:
        [execution] = store.get_executions_by_id([number])
    return execution


def _set_state(address: dict[str, Any], result: NodeResult, state: int) -> None:
    with mlmd_store.open_store(address) as store:
        [execution] = store.get_executions_by_id([result.execution_id])
        execution.last_known_state = state
        store.put_executions([execution])


def _task(node_id: str) -> dict[str, Any]:
    return {"dag_id": "flow", "run_id": "first", "task_id": node_id, "map_index": -1}


def _states(address: dict[str, Any], name: str) -> list[str]:
    with mlmd_store.open_store(address) as store:
        found = mlmd_store.tries_of(store, _task(name.partition(".")[2]))
    return [_Execution.State.Name(execution.last_known_state) for execution in found]


def test_node_gives_its_output_to_the_next(make_request: MakeRequest, address: dict[str, Any]) -> None:
    pipeline = small.write_and_read()
    write = node.run(make_request(pipeline, "Write"))
    read = node.run(make_request(pipeline, "Read"))
    assert (write.state, read.state, write.message) == ("executed", "executed", "")
    assert _text(write, "text") == "hello"
    assert _text(read, "copy") == _text(write, "moment")
    assert (
        write.execution_id and _execution(address, write.execution_id).last_known_state == _Execution.COMPLETE
    )


def test_outputs_are_listed_by_key_below_the_home(make_request: MakeRequest, roots: dict[str, str]) -> None:
    result = node.run(make_request(small.write_and_read(), "Write"))
    assert list(result.outputs) == ["moment", "text"]
    [artifact] = result.outputs["text"]
    assert artifact["id"] > 0
    assert (artifact["type"], artifact["note"]) == ("String", "")
    assert artifact["uri"].startswith(f"{roots['TFX_AIRFLOW_HOME']}/pipelines/write_and_read/Write/text/")


def test_second_run_takes_both_nodes_from_the_cache(
    make_request: MakeRequest, address: dict[str, Any]
) -> None:
    pipeline = small.write_and_read()
    first = [node.run(make_request(pipeline, name)) for name in ("Write", "Read")]
    second = [node.run(make_request(pipeline, name, run="second")) for name in ("Write", "Read")]
    assert [result.state for result in second] == ["cached", "cached"]
    assert [result.outputs for result in second] == [result.outputs for result in first]
    assert second[0].execution_id != first[0].execution_id
    assert _execution(address, second[0].execution_id).last_known_state == _Execution.CACHED


def test_pipeline_without_cache_runs_again(make_request: MakeRequest) -> None:
    pipeline = tfx.dsl.Pipeline(
        "fresh", pipeline_root="", components=[small.Write(message="a")], enable_cache=False
    )
    moments = [
        _text(node.run(make_request(pipeline, "Write", run=run)), "moment") for run in ("first", "second")
    ]
    assert moments[0] != moments[1]


def test_cleared_task_runs_again_and_its_consumer_reads_the_new_value(make_request: MakeRequest) -> None:
    pipeline = small.write_and_read()
    old = node.run(make_request(pipeline, "Write"))
    node.run(make_request(pipeline, "Read"))
    new = node.run(make_request(pipeline, "Write", try_number=2, first_try=2))
    read = node.run(make_request(pipeline, "Read", try_number=2, first_try=2))
    assert (new.state, read.state) == ("executed", "executed")
    assert _text(new, "moment") != _text(old, "moment")
    assert _text(read, "copy") == _text(new, "moment")


def test_consumer_cleared_alone_reads_what_is_there(make_request: MakeRequest) -> None:
    pipeline = small.write_and_read()
    write = node.run(make_request(pipeline, "Write"))
    first = node.run(make_request(pipeline, "Read"))
    again = node.run(make_request(pipeline, "Read", try_number=2, first_try=2))
    assert again.state == "executed"
    assert again.execution_id != first.execution_id
    assert _text(again, "copy") == _text(write, "moment")


@pytest.mark.parametrize("enable_cache", [True, False], ids=["with-cache", "without-cache"])
def test_retry_takes_what_an_earlier_try_has_finished(make_request: MakeRequest, enable_cache: bool) -> None:
    write = small.Write(message="a")
    pipeline = tfx.dsl.Pipeline("died", pipeline_root="", components=[write], enable_cache=enable_cache)
    finished = node.run(make_request(pipeline, "Write"))
    retry = node.run(make_request(pipeline, "Write", try_number=2, first_try=1))
    assert retry.state == "cached"
    assert retry.outputs == finished.outputs


def test_retry_after_a_clear_does_not_take_what_came_before_it(
    make_request: MakeRequest, address: dict[str, Any]
) -> None:
    pipeline = small.write_and_read()
    old = node.run(make_request(pipeline, "Write"))
    cleared = node.run(make_request(pipeline, "Write", try_number=2, first_try=2))
    _set_state(address, cleared, _Execution.FAILED)
    retry = node.run(make_request(pipeline, "Write", try_number=3, first_try=2))
    assert retry.state == "executed"
    assert _text(retry, "moment") != _text(old, "moment")


def test_a_run_that_is_made_again_under_its_id_takes_nothing_of_the_old_one(
    make_request: MakeRequest, address: dict[str, Any]
) -> None:
    write = small.Write(message="a")
    pipeline = tfx.dsl.Pipeline("again", pipeline_root="", components=[write], enable_cache=False)
    old = node.run(make_request(pipeline, "Write"))
    # The DAG run was deleted, and the new one's first try has failed.
    failed = node.run(make_request(pipeline, "Write"))
    _set_state(address, failed, _Execution.FAILED)
    retry = node.run(make_request(pipeline, "Write", try_number=2, first_try=1))
    assert retry.state == "executed" and _text(retry, "moment") != _text(old, "moment")


def test_consumer_reads_nothing_of_before_a_clear_after_which_its_producer_failed(
    make_request: MakeRequest, address: dict[str, Any]
) -> None:
    pipeline = small.write_and_read()
    node.run(make_request(pipeline, "Write"))
    node.run(make_request(pipeline, "Read"))
    cleared = node.run(make_request(pipeline, "Write", try_number=2, first_try=2))
    _set_state(address, cleared, _Execution.FAILED)
    read = node.run(make_request(pipeline, "Read", try_number=2, first_try=2))
    assert read.state == "failed" and read.outputs == {}


def test_nothing_is_read_of_an_upstream_node_that_was_skipped_after_a_clear(
    make_request: MakeRequest,
) -> None:
    write = small.Write(message="a")
    tell = copies.Tell(settings=write.outputs["text"])
    pipeline = tfx.dsl.Pipeline("cleared", pipeline_root="", components=[write, tell])
    node.run(make_request(pipeline, "Write"))
    assert _text(node.run(make_request(pipeline, "Tell")), "text") == "a None"
    request = make_request(pipeline, "Tell", try_number=2, first_try=2, copy={"absent": ("Write",)})
    assert _text(node.run(request), "text") == "None None"


def test_failed_attempt_is_recorded_and_the_next_one_starts_afresh(
    make_request: MakeRequest, address: dict[str, Any], tmp_path: Path
) -> None:
    pipeline = small.fail_once(str(tmp_path / "marker"))
    with pytest.raises(ValueError, match="the first attempt fails"):
        node.run(make_request(pipeline, "FailOnce"))
    assert _states(address, "fail_once.FailOnce") == ["FAILED"]
    second = node.run(make_request(pipeline, "FailOnce", try_number=2))
    assert second.state == "executed"
    assert _states(address, "fail_once.FailOnce") == ["FAILED", "COMPLETE"]
    assert _text(node.run(make_request(pipeline, "Read")), "copy") == "whole"


def test_attempt_that_died_is_marked_by_the_next(make_request: MakeRequest, address: dict[str, Any]) -> None:
    pipeline = small.write_and_read()
    dead = node.run(make_request(pipeline, "Write"))
    _set_state(address, dead, _Execution.RUNNING)
    assert node.run(make_request(pipeline, "Write", try_number=2)).execution_id != dead.execution_id
    assert _states(address, "write_and_read.Write")[0] == "FAILED"
    assert "died" in _execution(address, dead.execution_id).custom_properties["failure"].string_value


def test_node_whose_cond_is_false_is_skipped(make_request: MakeRequest, address: dict[str, Any]) -> None:
    pipeline = small.conditional()
    node.run(make_request(pipeline, "Write"))
    result = node.run(make_request(pipeline, "Read"))
    assert (result.state, result.execution_id, result.outputs) == ("skipped", 0, {})
    assert result.message
    assert _states(address, "conditional.Read") == []


def test_runtime_parameters_reach_the_component_in_their_types(make_request: MakeRequest) -> None:
    request = make_request(
        small.parameters(), "Calculate", count=0, rate=2.0, label="", options='{"depth": 3}'
    )
    assert _text(node.run(request), "result") == """0 2.0 '' '{"depth": 3}'"""


def test_parameter_without_a_value_is_refused_by_name(make_request: MakeRequest) -> None:
    parameter = tfx.dsl.experimental.RuntimeParameter("greeting", str)
    pipeline = tfx.dsl.Pipeline("unbound", pipeline_root="", components=[small.Write(message=parameter)])
    with pytest.raises(ManifestError) as caught:
        node.run(make_request(pipeline, "Write"))
    for part in ("'greeting'", "'message' of 'Write'", "has no value"):
        assert part in str(caught.value)


def test_unknown_node_is_refused_with_those_there_are(make_request: MakeRequest) -> None:
    with pytest.raises(ManifestError) as caught:
        node.run(make_request(small.write_and_read(), "Wirte"))
    assert "no node 'Wirte'; its nodes are ['Write', 'Read']" in str(caught.value)


def test_input_that_cannot_be_resolved_is_a_failure_with_its_reason(
    make_request: MakeRequest, address: dict[str, Any]
) -> None:
    pipeline = small.resolver_without_input()
    node.run(make_request(pipeline, "latest"))
    result = node.run(make_request(pipeline, "Read"))
    assert result.state == "failed"
    assert "text" in result.message
    assert _states(address, "resolver_without_input.Read") == ["FAILED"]


def test_consumer_before_its_producer_is_a_failure(make_request: MakeRequest) -> None:
    result = node.run(make_request(small.write_and_read(), "Read"))
    assert result.state == "failed"
    assert "text" in result.message


def test_store_that_cannot_be_opened_is_named(make_request: MakeRequest, address: dict[str, Any]) -> None:
    Path(address["path"]).mkdir(parents=True)
    with pytest.raises(MlmdError, match="cannot be used"):
        node.run(make_request(small.write_and_read(), "Write"))


def test_execution_knows_its_airflow_task(make_request: MakeRequest, address: dict[str, Any]) -> None:
    request = make_request(small.write_and_read(), "Write", try_number=3)
    result = node.run(request)
    with mlmd_store.open_store(address) as store:
        contexts = {c.type: c for c in store.get_contexts_by_execution(result.execution_id)}
    assert contexts["pipeline_run"].name == "flow:first"
    context = contexts["airflow_task_instance"]
    assert context.name == request.task["key"]
    unsaid = ("key", "first_try")
    properties = {k: getattr(v, v.WhichOneof("value")) for k, v in context.properties.items()}
    assert properties == {key: value for key, value in request.task.items() if key not in unsaid}


def _working(
    make_request: MakeRequest, address: dict[str, Any], started: Path, given_up: threading.Event
) -> Any:
    """A node that works for a second in another thread; returns its future once it works."""
    pipeline = small.sleep(str(started), seconds=1)
    result: concurrent.futures.Future[NodeResult] = concurrent.futures.Future()

    def work() -> None:
        try:
            result.set_result(node.run(make_request(pipeline, "Sleep"), given_up))
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    wait_until(started.exists, 60)
    assert _states(address, "sleep.Sleep") == ["RUNNING"]
    return result


@pytest.mark.slow
def test_node_whose_task_has_died_publishes_nothing(
    make_request: MakeRequest, address: dict[str, Any], tmp_path: Path
) -> None:
    given_up = threading.Event()
    result = _working(make_request, address, tmp_path / "started", given_up)
    given_up.set()
    with pytest.raises(concurrent.futures.TimeoutError):
        result.result(3)
    # The store is free for whoever records the failure and then ends this process.
    assert _states(address, "sleep.Sleep") == ["RUNNING"]


@pytest.mark.slow
def test_node_that_a_later_attempt_took_for_dead_publishes_nothing(
    make_request: MakeRequest, address: dict[str, Any], tmp_path: Path
) -> None:
    result = _working(make_request, address, tmp_path / "started", threading.Event())
    with mlmd_store.open_store(address) as store:
        mlmd_store.fail_unfinished(store, _task("Sleep"), "taken for dead")
    with pytest.raises(RuntimeError, match="a later attempt has taken over: execution 1 is FAILED"):
        result.result(30)
    assert _states(address, "sleep.Sleep") == ["FAILED"]


def test_model_that_cannot_be_served_is_told_with_the_reason(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    (tmp_path / "model" / "Format-Serving").mkdir(parents=True)
    model = tfx.dsl.Importer(
        source_uri=str(tmp_path / "model"), artifact_type=tfx.types.standard_artifacts.Model
    ).with_id("model")
    validator = tfx.components.InfraValidator(
        model=model.outputs["result"],
        serving_spec=tfx.proto.ServingSpec(
            tensorflow_serving=tfx.proto.TensorFlowServing(tags=["latest"]),
            local_docker=tfx.proto.LocalDockerConfig(),
        ),
        validation_spec=tfx.proto.ValidationSpec(num_tries=1),
    )
    pipeline = tfx.dsl.Pipeline("infra", pipeline_root="", components=[model, validator])
    node.run(make_request(pipeline, "model"))
    result = node.run(make_request(pipeline, "InfraValidator"))
    [blessing] = result.outputs["blessing"]
    assert (result.state, blessing["note"]) == ("executed", "NOT BLESSED")
    assert result.summary["infra_blessed"] is False
    assert result.summary["infra_failure"].startswith("DockerException: ")


def test_skip_by_a_false_condition_says_the_condition(make_request: MakeRequest) -> None:
    pipeline = small.conditional()
    node.run(make_request(pipeline, "Write"))
    result = node.run(make_request(pipeline, "Read"))
    assert result.state == "skipped"
    assert result.message.startswith("its Cond is false: ") and '"yes"' in result.message
