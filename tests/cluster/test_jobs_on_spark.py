"""Jobs on Spark take turns at its job server, and end with their tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle import Bundle
from tests.cluster import beam_workers
from tests.cluster.job_server import JobServer
from tests.cluster.spark import Spark
from tests.server import wait_until

_DAG = """
from datetime import datetime, timedelta
from airflow.sdk import DAG
from include.tfx_airflow.airflow_side.beam import BeamProgramOperator

with DAG({dag_id!r}, schedule=None, start_date=datetime(2014, 1, 1)):
    BeamProgramOperator(
        task_id="work", module="tests.pipelines.on_workers_program", runner="spark",
        pipeline_options={{"function": {function!r}}},
    )
"""


@pytest.fixture(scope="module", autouse=True)
def connection(
    bundle: Bundle, spark: Spark, spark_job_server: JobServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    with beam_workers.running(bundle, tmp_path_factory.mktemp("beam-workers")) as workers:
        bundle.environment["AIRFLOW_CONN_BEAM_SPARK"] = beam_workers.connection(
            spark_job_server, workers, f"http://{spark.ui}"
        )
        yield
        del bundle.environment["AIRFLOW_CONN_BEAM_SPARK"]


def _write(bundle: Bundle, dag_id: str, function: str) -> None:
    (bundle.folder / "dags" / f"{dag_id}.py").write_text(_DAG.format(dag_id=dag_id, function=function))


def _names(spark: Spark, kind: str) -> list[str]:
    """Beginnings of the names of applications, without what is by chance."""
    return [app["name"].split("-work-")[0] for app in spark.status()[kind]]


def test_tasks_that_start_jobs_together_all_succeed(bundle: Bundle, spark: Spark, tmp_path: Path) -> None:
    dags = [f"together_{number}" for number in range(3)]
    for dag_id in dags:
        _write(bundle, dag_id, "nothing")
    tasks = {dag_id: bundle.start_dags_test(dag_id, log=tmp_path / dag_id) for dag_id in dags}
    try:
        codes = {dag_id: task.wait(900) for dag_id, task in tasks.items()}
    finally:
        for task in tasks.values():
            task.kill()
            task.wait()
    assert set(codes.values()) == {0}, {dag_id: (tmp_path / dag_id).read_text()[-3000:] for dag_id in dags}
    assert {dag_id.replace("_", "-") for dag_id in dags} <= {
        name.removeprefix("tfx-") for name in _names(spark, "completedapps")
    }


def test_a_killed_tasks_job_ends_and_the_next_one_is_taken(
    bundle: Bundle, spark: Spark, tmp_path: Path
) -> None:
    _write(bundle, "killed_on_spark", "sleep")
    task = bundle.start_dags_test("killed_on_spark", log=tmp_path / "killed")
    try:
        wait_until(
            lambda: "tfx-killed-on-spark" in _names(spark, "activeapps"), 300, "the application", every=1
        )
    finally:
        task.kill()
        task.wait()
    _write(bundle, "after_it", "nothing")
    done = bundle.dags_test("after_it")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "tfx-killed-on-spark" not in _names(spark, "activeapps")
