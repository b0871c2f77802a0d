"""A task's end is the end of its job on Flink, and whatever dies there is told by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bundle import Bundle
from tests.cluster import beam_workers, job_server
from tests.cluster.flink import Flink
from tests.cluster.job_server import JobServer
from tests.cluster.process import free_port
from tests.server import wait_until

_DAG = """
from datetime import datetime, timedelta
from airflow.sdk import DAG
from include.tfx_airflow.airflow_side.beam import BeamProgramOperator

with DAG({dag_id!r}, schedule=None, start_date=datetime(2014, 1, 1)):
    BeamProgramOperator(
        task_id="work", module="tests.pipelines.on_workers_program", runner="flink",
        pipeline_options={{"function": {function!r}}}, {more}
    )
"""

_NODE = """
from datetime import datetime
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig

dag = AirflowDagRunner(AirflowPipelineConfig(
    airflow_dag_config={{"dag_id": {dag_id!r}, "schedule": None, "start_date": datetime(2014, 1, 1)}}, beam_runner="flink",
)).run("tests.pipelines.on_cluster:create_pipeline", function={function!r})
"""


@pytest.fixture(scope="module")
def workers(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with beam_workers.running(bundle, tmp_path_factory.mktemp("beam-workers")) as address:
        yield address


@pytest.fixture(autouse=True)
def connection(bundle: Bundle, flink: Flink, flink_job_server: JobServer, workers: str) -> Iterator[None]:
    bundle.environment["AIRFLOW_CONN_BEAM_FLINK"] = beam_workers.connection(
        flink_job_server, workers, f"http://{flink.address}"
    )
    yield
    del bundle.environment["AIRFLOW_CONN_BEAM_FLINK"]


def _write(bundle: Bundle, dag_id: str, function: str, more: str = "") -> None:
    path = bundle.folder / "dags" / f"{dag_id}.py"
    path.write_text(_DAG.format(dag_id=dag_id, function=function, more=more))


def _job(flink: Flink, dag_id: str) -> dict[str, Any]:
    """The newest job of a DAG."""
    name = f"tfx-{dag_id.replace('_', '-')}-"
    try:
        jobs = flink.jobs()
    except OSError:  # a busy machine answers late
        return {"state": "unknown"}
    return next((job for job in reversed(jobs) if job["name"].startswith(name)), {"state": "none"})


def _runs(flink: Flink, dag_id: str) -> None:
    def work_is_under_way() -> bool:
        job = _job(flink, dag_id)
        return job["state"] == "RUNNING" and bool(_harnesses())

    wait_until(work_is_under_way, 300, "the job", every=1)
    time.sleep(3)  # until its function sleeps


def _harnesses() -> list[int]:
    """Processes that the pool has forked after the one that serves gRPC."""
    pool = subprocess.run(
        ["pgrep", "--oldest", "-f", "tfx_side.beam.worker_pool"], capture_output=True, text=True
    ).stdout.strip()
    forked = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", pool, "--sort=start_time"], capture_output=True, text=True
    ).stdout.split()
    return [int(pid) for pid in forked[1:]]


def _kill_at_work(bundle: Bundle, flink: Flink, dag_id: str) -> None:
    """Runs a DAG, kills it while its job is under way, and waits for the job's end."""
    task = bundle.start_dags_test(dag_id)
    try:
        _runs(flink, dag_id)
    finally:
        task.kill()
        task.wait()
    wait_until(
        lambda: _job(flink, dag_id)["state"] == "CANCELED", 30, "the job to end with its task", every=1
    )


def test_a_killed_tasks_job_is_cancelled(bundle: Bundle, flink: Flink) -> None:
    _write(bundle, "killed", "sleep")
    _kill_at_work(bundle, flink, "killed")
    wait_until(lambda: not _harnesses(), 60, "the harness to end with its job", every=1)


def test_a_killed_nodes_job_is_cancelled(bundle: Bundle, flink: Flink) -> None:
    (bundle.folder / "dags" / "node_killed.py").write_text(
        _NODE.format(dag_id="node_killed", function="sleep")
    )
    _kill_at_work(bundle, flink, "node_killed")


def test_a_job_whose_job_server_dies_ends_with_its_task(
    bundle: Bundle, flink: Flink, workers: str, tmp_path: Path
) -> None:
    with job_server.for_flink(flink, tmp_path / "job-server") as server:
        connection = beam_workers.connection(server, workers, f"http://{flink.address}")
        bundle.environment["AIRFLOW_CONN_BEAM_FLINK"] = connection
        _write(bundle, "left", "sleep")
        task = bundle.start_dags_test("left", log=tmp_path / "log")
        try:
            _runs(flink, "left")
            server.process.end()
            assert task.wait(180) != 0
        finally:
            task.kill()
            task.wait()
    assert "has gone while it ran" in (tmp_path / "log").read_text()
    wait_until(lambda: _job(flink, "left")["state"] == "CANCELED", 60, "the job's end", every=1)


def test_a_job_ends_when_its_tasks_time_is_over(bundle: Bundle, flink: Flink) -> None:
    _write(bundle, "late", "sleep", "execution_timeout=timedelta(seconds=90)")
    done = bundle.dags_test("late")
    assert done.returncode != 0 and _job(flink, "late")["state"] != "none", done.stdout[-4000:]
    wait_until(
        lambda: _job(flink, "late")["state"] == "CANCELED", 30, "the job to end with its task", every=1
    )


def test_a_harness_that_dies_fails_its_job_and_the_task_says_so(
    bundle: Bundle, flink: Flink, tmp_path: Path
) -> None:
    _write(bundle, "broken_worker", "sleep")
    log = tmp_path / "log"
    task = bundle.start_dags_test("broken_worker", log=log)
    try:
        _runs(flink, "broken_worker")
        for harness in _harnesses():
            os.kill(harness, signal.SIGKILL)
        assert task.wait(180) != 0
    finally:
        task.kill()
        task.wait()
    said = log.read_text()
    assert "Beam job failed: job 'tfx-broken-worker-work-" in said and "a worker of it has died" in said
    assert _job(flink, "broken_worker")["state"] in ("FAILED", "CANCELED")


def test_user_code_that_cannot_be_imported_is_told_by_the_task(bundle: Bundle, flink: Flink) -> None:
    _write(bundle, "imports", "need_what_is_missing")
    done = bundle.dags_test("imports")
    assert done.returncode != 0
    assert "No module named 'no_such_module'" in done.stdout and _job(flink, "imports")["state"] == "FAILED"


def test_a_job_is_told_with_its_page_and_no_option_of_it_has_an_address(
    bundle: Bundle, flink: Flink, flink_job_server: JobServer, workers: str
) -> None:
    _write(bundle, "fine", "nothing")
    done = bundle.dags_test("fine")
    assert done.returncode == 0, done.stdout[-4000:]
    job = _job(flink, "fine")
    assert job["state"] == "FINISHED"
    assert f"http://{flink.address}/#/job/{job['jid']}/overview" in done.stdout
    shown = json.dumps(flink.get(f"jobs/{job['jid']}/config"))
    assert flink_job_server.endpoint.partition(":")[2] not in shown
    assert workers.partition(":")[2] not in shown


@pytest.mark.parametrize("away", ["job server", "worker pool"])
def test_what_is_away_is_told_in_seconds(
    bundle: Bundle, flink: Flink, flink_job_server: JobServer, away: str
) -> None:
    extra = {"worker_pool": f"127.0.0.1:{free_port()}", "ui": f"http://{flink.address}"}
    host, port = flink_job_server.endpoint.split(":")
    port = port if away == "worker pool" else str(free_port())
    connection = {"conn_type": "generic", "host": host, "port": int(port), "extra": extra}
    bundle.environment["AIRFLOW_CONN_BEAM_FLINK"] = json.dumps(connection)
    _write(bundle, "away", "nothing")
    began = time.monotonic()
    done = bundle.dags_test("away")
    assert done.returncode != 0 and time.monotonic() - began < 120
    if away == "job server":
        assert f"job server of Beam runner 'flink' does not answer at 127.0.0.1:{port}" in done.stdout
    else:
        assert "Beam job failed: job 'tfx-away-work-" in done.stdout
        assert _job(flink, "away")["state"] == "FAILED"
