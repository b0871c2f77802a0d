"""The Assets of a node: their events carry what it made, and what would have no event is refused."""

from __future__ import annotations

import types
from typing import Any

import attrs
import pytest
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.execution_time.task_runner import _serialize_outlet_events

from include.tfx_airflow import TfxNodeOperator
from include.tfx_airflow.airflow_side.compiled import Compiled
from include.tfx_airflow.contract.errors import ConfigError
from include.tfx_airflow.contract.manifest import Node
from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.node_process import node_process


@attrs.define
class Table:
    """Stands for an object of Airflow's lineage."""

    name: str


def _operator(**options: Any) -> TfxNodeOperator:
    compiled: Compiled = types.SimpleNamespace(ir=None, source=types.SimpleNamespace(environment={}))  # type: ignore[assignment]
    return TfxNodeOperator(
        task_id="Push",
        tfx_node=Node("Push", "Pusher", "t"),
        compiled=compiled,
        runtime_parameters={},
        **options,
    )


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in this order; no node process is started."""
    found: list[str] = []

    class Process:
        def __init__(self, *_: Any):
            found.append("node")

        def wait(self, log: Any) -> NodeResult:
            return NodeResult("executed", 7)

    monkeypatch.setattr(node_process, "NodeProcess", Process)
    request = NodeRequest("", "Push", "r", task={}, parameters={}, mlmd={}, roots={})
    monkeypatch.setattr(TfxNodeOperator, "_request", lambda self, context, settings, absent: request)
    monkeypatch.setattr(TfxNodeOperator, "_log_result", lambda self, context, result: None)

    def asset(name: str | None = None, uri: str | None = None) -> Asset:
        found.append(f"asked for {name}")
        if name == "unknown":
            raise LookupError(name)
        return Asset(str(name), uri="s3://models/one")

    monkeypatch.setattr(OutletEventAccessors, "_get_asset_from_db", staticmethod(asset))
    return found


def _execute(operator: TfxNodeOperator) -> list[dict[str, Any]]:
    """The events of a run, as Airflow's task runner reports them."""
    events = OutletEventAccessors()
    context = {"ti": types.SimpleNamespace(map_index=-1), "run_id": "r", "outlet_events": events}
    TfxNodeOperator.execute.__wrapped__(operator, context)  # type: ignore[attr-defined]
    return list(_serialize_outlet_events(events))


def test_events_of_assets_carry_what_the_node_made_and_lineage_objects_have_none(done: list[str]) -> None:
    with DAG("d"):
        operator = _operator(outlets=[Asset("a"), Table("t"), Asset.ref(name="b")])
    events = _execute(operator)
    assert [event["dest_asset_key"]["name"] for event in events] == ["a", "b"]
    for event in events:
        assert (event["extra"]["task_id"], event["extra"]["execution_id"]) == ("Push", 7)


def test_asset_that_does_not_exist_fails_the_task_before_the_node_works(done: list[str]) -> None:
    with DAG("d"):
        operator = _operator(outlets=[Asset.ref(name="unknown")])
    with pytest.raises(LookupError):
        _execute(operator)
    assert done == ["asked for unknown"]


@pytest.mark.parametrize(
    "outlet",
    [AssetAlias("models"), Asset("a") & Asset("b"), Asset("a") | Asset("b"), "models"],
    ids=["alias", "all", "any", "text"],
)
def test_outlet_that_would_have_no_event_is_refused_with_its_node(outlet: Any) -> None:
    for options in ({"outlets": [Asset("a"), outlet]}, {"default_args": {"outlets": [outlet]}}):
        with pytest.raises(ConfigError, match="outlets of node 'Push' contain ") as caught, DAG("d"):
            _operator(**options)
        assert repr(outlet) in str(caught.value)
