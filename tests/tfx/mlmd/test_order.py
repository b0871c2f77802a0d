"""The order of MLMD's answers; `tests/airflow/test_mlmd_servers.py` asks real servers."""

from __future__ import annotations

from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd_pb2
from ml_metadata.proto import metadata_store_service_pb2

from include.tfx_airflow.tfx_side.mlmd import order
from tests import mlmd_checks


def test_answers_by_id_come_as_asked_and_others_by_id(address: dict[str, Any]) -> None:
    mlmd_checks.order(address)


def _event(execution: int, artifact: int, *path: tuple[str, int]) -> mlmd_pb2.Event:
    event = mlmd_pb2.Event(execution_id=execution, artifact_id=artifact, type=mlmd_pb2.Event.INTERNAL_OUTPUT)
    for key, index in path:
        event.path.steps.add().key = key
        event.path.steps.add().index = index
    return event


def _artifacts(events: list[mlmd_pb2.Event], key: str) -> list[int]:
    return [event.artifact_id for event in events if any(key == name for name, _ in order.places(event))]


def test_artifacts_of_a_key_come_by_index_whatever_their_ids() -> None:
    found = order.events(
        [_event(2, 9, ("a", 0)), _event(1, 3, ("a", 1)), _event(1, 2, ("a", 2)), _event(1, 7, ("a", 0))]
    )
    assert [(e.execution_id, e.artifact_id) for e in found] == [(1, 7), (1, 3), (1, 2), (2, 9)]


@pytest.mark.parametrize("key", ["first", "window", "zuletzt"])
def test_an_artifact_under_several_keys_has_its_place_in_each(key: str) -> None:
    window = [30, 20, 10]
    events = {id_: [("window", index)] for index, id_ in enumerate(window)}
    events[10].insert(0, ("first", 0))
    events[20].append(("zuletzt", 1))
    events[5] = [("zuletzt", 0)]
    found = order.events([_event(1, id_, *path) for id_, path in events.items()])
    assert _artifacts(found, key) == {"first": [10], "window": window, "zuletzt": [5, 20]}[key]


def test_keys_that_contradict_one_another_lose_nothing() -> None:
    found = order.events([_event(1, 1, ("a", 0), ("b", 1)), _event(1, 2, ("a", 1), ("b", 0))])
    assert sorted(event.artifact_id for event in found) == [1, 2]


def test_events_that_others_wrote_without_index_or_path_are_kept() -> None:
    only_key = mlmd_pb2.Event(execution_id=1, artifact_id=2, type=mlmd_pb2.Event.OUTPUT)
    only_key.path.steps.add().key = "model"
    bare = mlmd_pb2.Event(execution_id=1, artifact_id=1, type=mlmd_pb2.Event.OUTPUT)
    assert order.events([only_key, bare]) == [bare, only_key]
    assert order.places(only_key) == [("model", 0)] and order.places(bare) == []


def test_an_answer_to_a_question_with_an_order_of_its_own_is_left_as_it_is() -> None:
    request = metadata_store_service_pb2.GetExecutionsRequest()
    request.options.order_by_field.is_asc = False
    response = metadata_store_service_pb2.GetExecutionsResponse()
    response.executions.add().id, response.executions.add().id = 2, 1
    order.arrange("GetExecutions", request, response)
    assert [execution.id for execution in response.executions] == [2, 1]
    order.arrange("GetExecutions", metadata_store_service_pb2.GetExecutionsRequest(), response)
    assert [execution.id for execution in response.executions] == [1, 2]


def test_a_lineage_graph_comes_by_id_too() -> None:
    response = metadata_store_service_pb2.GetLineageSubgraphResponse()
    graph = response.lineage_subgraph
    graph.artifacts.add().id, graph.artifacts.add().id = 2, 1
    graph.events.extend([_event(2, 2, ("a", 0)), _event(1, 1, ("a", 0))])
    for number in (2, 1):
        graph.associations.add(execution_id=number, context_id=1)
    request = metadata_store_service_pb2.GetLineageSubgraphRequest()
    order.arrange("GetLineageSubgraph", request, response)
    assert [a.id for a in graph.artifacts] == [1, 2]
    assert [e.execution_id for e in graph.events] == [1, 2]
    assert [a.execution_id for a in graph.associations] == [1, 2]
