"""What doctor says of Beam runners: which can be reached, and what is missing."""

from __future__ import annotations

import json
import socket
from datetime import datetime

import pytest
from airflow.sdk import DAG

from include.tfx_airflow.airflow_side.beam import BeamProgramOperator
from include.tfx_airflow.commands import beam_reach, dag_needs
from include.tfx_airflow.contract.errors import ConfigError
from include.tfx_airflow.settings import Settings


def _said(monkeypatch: pytest.MonkeyPatch, port: int, **extra: str) -> list[tuple[bool | None, str]]:
    connection = {"conn_type": "generic", "host": "127.0.0.1", "port": port, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_BEAM_FLINK", json.dumps(connection))
    return [finding for finding in beam_reach.findings(Settings(home="/srv")) if "flink" in finding[1]]


def test_a_job_server_that_answers_is_good_and_the_pool_is_only_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = _said(monkeypatch, port, worker_pool="localhost:50000", ui=f"http://127.0.0.1:{port}")
    assert found == [
        (True, f"job server of Beam runner 'flink' answers at 127.0.0.1:{port}"),
        (True, f"page of Beam runner 'flink' answers at 127.0.0.1:{port}"),
        (None, "Beam runner 'flink' has its workers at localhost:50000, as seen from the cluster"),
    ]


def test_one_that_is_away_is_told_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (good, text), _, _ = _said(
        monkeypatch, port, worker_pool="localhost:50000", ui=f"http://127.0.0.1:{port}"
    )
    assert good is False and text.startswith("job server of Beam runner 'flink' does not answer")
    assert text.endswith("correct Connection 'beam_flink'.")


def test_a_connection_that_lacks_something_is_bad_and_none_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    [(good, text)] = _said(monkeypatch, 1)
    assert good is False and "needs 'ui' in its extra" in text
    monkeypatch.delenv("AIRFLOW_CONN_BEAM_FLINK")
    found = dict((text, good) for good, text in beam_reach.findings(Settings(home="/srv")))
    assert found["Beam runner 'spark' cannot be used: there is no Connection 'beam_spark'"] is None
    assert found["Beam runners without a job server: dataflow, in_memory, processes"] is True


def test_a_task_on_a_cluster_needs_its_connection() -> None:
    with DAG("d", start_date=datetime(2014, 1, 1), schedule=None) as dag:
        BeamProgramOperator(task_id="count", module="m", runner="flink")
        BeamProgramOperator(task_id="other", module="m", runner="{{ params.runner }}")
    assert dag_needs.needs([dag])[("Connection", "beam_flink")] == ["d.count"]


def test_a_broken_table_of_runners_hides_no_other_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ConfigError("include/beam_runners.py cannot be imported")

    monkeypatch.setattr(dag_needs, "table", broken)
    with DAG("d", start_date=datetime(2014, 1, 1), schedule=None) as dag:
        BeamProgramOperator(task_id="t", module="m", pool="mine")
    assert dag_needs.needs([dag]) == {("pool", "mine"): ["d.t"]}
