"""The taxi pipeline on a real Spark: its nodes there make what their twins make in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bundle import Bundle
from tests.cluster import beam_workers, taxi
from tests.cluster.job_server import JobServer
from tests.cluster.spark import Spark


@pytest.fixture(scope="module")
def run(
    bundle: Bundle, spark: Spark, spark_job_server: JobServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[taxi.Run]:
    """A run of the pipeline."""
    with beam_workers.running(bundle, tmp_path_factory.mktemp("beam-workers")) as workers:
        address = beam_workers.connection(spark_job_server, workers, f"http://{spark.ui}")
        yield taxi.run(bundle, "twins_on_spark", "spark", AIRFLOW_CONN_BEAM_SPARK=address)


def test_its_jobs_are_spark_applications_and_end_well(run: taxi.Run, spark: Spark) -> None:
    applications = spark.status()["completedapps"]
    jobs = [one for one in applications if one["name"].startswith("tfx-twins-on-spark-")]
    assert len(jobs) >= len(taxi.ON_CLUSTER)
    assert {job["state"] for job in jobs} == {"FINISHED"}
    assert set(run.executions) >= {*taxi.ON_CLUSTER, "CsvExampleGen", "Trainer", "Pusher"}


@pytest.mark.parametrize(("node", "key", "what", "relative"), taxi.COMPARED)
def test_a_node_makes_what_it_makes_in_memory(
    run: taxi.Run, node: str, key: str, what: str, relative: float
) -> None:
    assert run.differences(node, key, what, relative) == []
