"""Executions that hold their outputs in the wrong places are no cache.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.tfx_side.node import node
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]
_OUTPUT = 4


def _swap(address: dict[str, Any], execution: int, first: str, second: str) -> None:
    """What PostgreSQL and TFX made of a cache hit: two outputs of an execution change places."""
    with sqlite3.connect(address["path"]) as connection:
        changed = connection.execute(
            "update EventPath set step_key = case step_key when ? then ? else ? end"
            " where step_key in (?, ?) and event_id in (select id from Event where execution_id = ? and type = ?)",
            (first, second, first, first, second, execution, _OUTPUT),
        ).rowcount
    connection.close()
    assert changed == 2


def _ids(result: NodeResult) -> dict[str, list[int]]:
    return {key: [artifact["id"] for artifact in artifacts] for key, artifacts in result.outputs.items()}


def _runs(make_request: MakeRequest, pipeline: tfx.dsl.Pipeline, name: str, *runs: str) -> list[NodeResult]:
    return [node.run(make_request(pipeline, name, run=run)) for run in runs]


def test_cached_execution_with_two_outputs_of_one_type_in_the_wrong_places_is_passed_over(
    make_request: MakeRequest, address: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = small.write_and_read()
    first, second = _runs(make_request, pipeline, "Write", "first", "second")
    assert second.state == "cached"
    _swap(address, second.execution_id, "text", "moment")
    with caplog.at_level(logging.WARNING):
        [third] = _runs(make_request, pipeline, "Write", "third")
    assert third.state == "cached" and _ids(third) == _ids(first)
    said = f"Not used as cache: execution {second.execution_id}, whose outputs are under the wrong keys"
    assert said in caplog.text and "whose URI is" in caplog.text
    caplog.clear()
    [fourth] = _runs(make_request, pipeline, "Write", "fourth")
    assert fourth.state == "cached" and _ids(fourth) == _ids(first) and "Not used" not in caplog.text


def test_node_whose_every_execution_is_wrong_runs_again(
    make_request: MakeRequest, address: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = small.write_and_read()
    first, second = _runs(make_request, pipeline, "Write", "first", "second")
    for result in (first, second):
        _swap(address, result.execution_id, "text", "moment")
    with caplog.at_level(logging.WARNING):
        third, fourth = _runs(make_request, pipeline, "Write", "third", "fourth")
    assert (third.state, fourth.state) == ("executed", "cached")
    assert _ids(fourth) == _ids(third)
    assert f"2 executions, {second.execution_id} the newest" in caplog.text


@component
def Split(
    number: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Integer],
    text: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.String],
) -> None:
    """Two outputs of two types."""
    number.value, text.value = 1, "one"


def test_output_of_another_type_is_named(
    make_request: MakeRequest, address: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = tfx.dsl.Pipeline("types", pipeline_root="", components=[Split()], enable_cache=True)
    first, second = _runs(make_request, pipeline, "Split", "first", "second")
    _swap(address, second.execution_id, "number", "text")
    with caplog.at_level(logging.WARNING):
        [third] = _runs(make_request, pipeline, "Split", "third")
    assert _ids(third) == _ids(first)
    assert "of type String instead of Integer" in caplog.text or "of type Integer instead of" in caplog.text


def test_without_a_uri_that_tells_the_execution_that_made_them_does(
    make_request: MakeRequest, address: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = small.write_and_read()
    first, second = _runs(make_request, pipeline, "Write", "first", "second")
    _swap(address, second.execution_id, "text", "moment")
    with sqlite3.connect(address["path"]) as connection:
        # A component may put its outputs where it likes.
        connection.execute(
            "update Artifact set uri = replace(replace(uri, '/text/', '/a/'), '/moment/', '/b/')"
        )
        uris = [uri for (uri,) in connection.execute("select uri from Artifact order by id")]
    connection.close()
    for uri in uris:
        folder = uri.replace("/a/", "/text/").replace("/b/", "/moment/")
        _copy(folder, uri)
    with caplog.at_level(logging.WARNING):
        [third] = _runs(make_request, pipeline, "Write", "third")
    assert third.state == "cached" and _ids(third) == _ids(first)
    assert f"those of execution {first.execution_id}, which made them" in caplog.text


def _copy(source: str, target: str) -> None:
    from tfx.dsl.io import fileio

    fileio.makedirs(target.rpartition("/")[0])
    fileio.copy(source, target)
