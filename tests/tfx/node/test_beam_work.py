"""A node whose executor runs Beam pipelines says where their time went."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.dataflow import dataflow_runner
from tfx import v1 as tfx

from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import beam_work, node
from include.tfx_airflow.tfx_side.node.beam_work import BeamWork
from tests.pipelines import beaming, small

pytestmark = pytest.mark.slow

MakeRequest = Callable[..., NodeRequest]


def _work(*names: str, pipelines: int = 1) -> BeamWork:
    work = BeamWork()
    with work.observed():
        for _ in range(pipelines):
            with beam.Pipeline() as pipeline:
                rows = pipeline | beam.Create([1, 2, 3])
                for name in names:
                    _ = rows | name >> beam.Map(_count, name)
    return work


def _count(row: int, name: str) -> None:
    time.sleep(0.15)
    beam.metrics.Metrics.counter("test", f"rows {name[:20]}").inc()
    beam.metrics.Metrics.distribution("test", "size").update(row)


def test_steps_counters_and_distributions_are_those_of_the_pipelines() -> None:
    found = _work("Slow", pipelines=2).summary()
    assert found["pipelines"] == 2
    name, seconds = found["steps"][0]
    assert name == "Slow"
    assert 0.4 < seconds <= found["seconds"] < 5
    assert found["counters"] == [["test:rows Slow", 6]]
    assert found["distributions"] == [["test:size", 6, 1, 2.0, 3]]


def test_a_job_on_dataflow_is_told_with_its_page() -> None:
    job = SimpleNamespace(id="2026-1_2-3", name="tfx-taxi-0123456789-try1", currentState=None)
    options = SimpleNamespace(project="mine", region="europe-west1")
    runner = SimpleNamespace(dataflow_client=SimpleNamespace(google_cloud_options=options))
    work = BeamWork("dataflow")
    work._results.append(dataflow_runner.DataflowPipelineResult(job, runner))
    work._seconds.append(math.nan)
    assert work.summary()["jobs"] == [
        {
            "name": "tfx-taxi-0123456789-try1",
            "id": "2026-1_2-3",
            "seconds": None,
            "link": "https://console.cloud.google.com/dataflow/jobs/europe-west1/2026-1_2-3?project=mine",
            "stages": [],
        }
    ]


def test_what_is_left_out_is_told(monkeypatch: Any) -> None:
    monkeypatch.setattr(beam_work, "MAX_STEPS", 1)
    monkeypatch.setattr(beam_work, "MAX_COUNTERS", 2)
    found = _work("A", "B", "C").summary()
    assert len(found["steps"]) == 1
    assert found["steps_left_out"][0] >= 2
    assert found["steps_left_out"][1] > 0.2
    assert (len(found["counters"]), len(found["distributions"]), found["counters_left_out"]) == (2, 0, 2)


def test_a_long_name_loses_its_front() -> None:
    name, _ = _work("x" * 300 + "/Merge").summary()["steps"][0]
    assert (name[0], name[-6:], len(name)) == ("…", "/Merge", beam_work.MAX_NAME)


def test_nothing_is_told_of_what_ran_outside_and_of_no_pipeline() -> None:
    work = BeamWork()
    before = beam.Pipeline.run
    with work.observed():
        assert beam.Pipeline.run is not before
    with beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([1])
    assert beam.Pipeline.run is before
    assert (work.summary(), work.text(), beam_work.of_text("")) == ({}, "", {})


def test_a_runner_without_metrics_fails_nothing() -> None:
    class Result:
        state = "RUNNING"

        def metrics(self) -> Any:
            raise NotImplementedError

    work = BeamWork()
    work._results.append(Result())
    work._seconds.append(float("nan"))
    assert work.summary() == {"pipelines": 1, "steps": [], "counters": [], "distributions": []}


def test_execution_has_the_record_and_its_cache_key_does_not(
    make_request: MakeRequest, address: dict[str, Any]
) -> None:
    pipeline = tfx.dsl.Pipeline("beams", pipeline_root="", components=[beaming.Rows()], enable_cache=True)
    first = node.run(make_request(pipeline, "Rows"))
    assert (first.state, first.beam["counters"]) == ("executed", [["test:rows", 3]])
    with mlmd_store.open_store(address) as store:
        [execution] = store.get_executions_by_id([first.execution_id])
    assert json.loads(execution.custom_properties[beam_work.PROPERTY].string_value) == first.beam
    second = node.run(make_request(pipeline, "Rows", run="second"))
    assert (second.state, second.beam) == ("cached", {})


def test_node_without_beam_has_no_record(make_request: MakeRequest, address: dict[str, Any]) -> None:
    pipeline = tfx.dsl.Pipeline("plain", pipeline_root="", components=[small.Write(message="a")])
    done = node.run(make_request(pipeline, "Write"))
    with mlmd_store.open_store(address) as store:
        [execution] = store.get_executions_by_id([done.execution_id])
    assert beam_work.PROPERTY not in execution.custom_properties
    assert done.beam == {}
