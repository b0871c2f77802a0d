"""TFX's launcher between the attempts at a node: what is published for whom, and what an error leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import abandon, launch, node
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]
_Execution = metadata_store_pb2.Execution


def _executions(address: dict[str, Any], name: str) -> list[metadata_store_pb2.Execution]:
    with mlmd_store.open_store(address) as store:
        task = {"dag_id": "flow", "run_id": "first", "task_id": name.partition(".")[2], "map_index": -1}
        return mlmd_store.tries_of(store, task)


def _states(address: dict[str, Any], name: str) -> list[str]:
    return [_Execution.State.Name(e.last_known_state) for e in _executions(address, name)]


def test_a_driver_that_raises_leaves_failed_with_the_reason(
    make_request: MakeRequest, address: dict[str, Any], tmp_path: Path
) -> None:
    split = tfx.proto.Input.Split(name="all", pattern="span-{SPAN}/*")
    generator = tfx.components.CsvExampleGen(
        input_base=str(tmp_path / "nowhere"), input_config=tfx.proto.Input(splits=[split])
    )
    pipeline = tfx.dsl.Pipeline("driver", pipeline_root="", components=[generator])
    with pytest.raises(Exception, match="Cannot find matching"):
        node.run(make_request(pipeline, "CsvExampleGen"))
    [execution] = _executions(address, "driver.CsvExampleGen")
    assert execution.last_known_state == _Execution.FAILED
    assert "Cannot find matching" in execution.custom_properties["failure"].string_value


def test_user_code_that_exits_leaves_failed(
    make_request: MakeRequest, address: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: object) -> None:
        raise SystemExit(3)

    monkeypatch.setattr(small, "time", SimpleNamespace(time_ns=leave))  # which the component calls
    with pytest.raises(SystemExit):
        node.run(make_request(small.write_and_read(), "Write"))
    assert _states(address, "write_and_read.Write") == ["FAILED"]


def test_a_cached_result_is_not_published_for_an_attempt_that_was_given_up(
    make_request: MakeRequest, address: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = small.write_and_read()
    request = make_request(pipeline, "Write")
    assert node.run(make_request(pipeline, "Write", run="before")).state == "executed"
    prepare = launch.Launcher._register_or_reuse_execution

    def given_up_then(self: Any, metadata_handle: Any, **named: Any) -> Any:
        registered = prepare(self, metadata_handle=metadata_handle, **named)
        assert mlmd_store.fail_unfinished(metadata_handle.store, request.task, "given up")
        return registered

    monkeypatch.setattr(launch.Launcher, "_register_or_reuse_execution", given_up_then)
    with pytest.raises(RuntimeError, match="a later attempt has taken over"):
        node.run(request)
    assert _states(address, "write_and_read.Write") == ["FAILED"]


@pytest.mark.slow
def test_who_gives_an_attempt_up_waits_until_it_has_published(
    make_request: MakeRequest, address: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(small.write_and_read(), "Write")
    publish = launch.launcher.Launcher._publish_successful_execution
    abandoning: list[threading.Thread] = []

    def abandoned_meanwhile(self: Any, *arguments: Any) -> None:
        abandoning.append(threading.Thread(target=abandon.abandon, args=(request, "the task was killed")))
        abandoning[0].start()
        abandoning[0].join(1)
        assert abandoning[0].is_alive()
        publish(self, *arguments)

    monkeypatch.setattr(launch.launcher.Launcher, "_publish_successful_execution", abandoned_meanwhile)
    result = node.run(request)
    abandoning[0].join(30)
    assert result.state == "executed" and _states(address, "write_and_read.Write") == ["COMPLETE"]
