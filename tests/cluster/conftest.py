"""The clusters, each started by the first test that wants it and ended after the last.

`include/bootstrap.sh cluster` provides what they are made of. All tests here run in the Airflow interpreter;
Beam's work is done by child processes of the TFX interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bundle import made
from tests.cluster import flink as flink_cluster
from tests.cluster import job_server, retraining
from tests.cluster import spark as spark_cluster
from tests.cluster import worker_pool as beam_worker_pool
from tests.cluster.flink import Flink
from tests.cluster.job_server import JobServer
from tests.cluster.spark import Spark


@pytest.fixture(scope="session")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    """A Flink cluster with two slots."""
    with flink_cluster.running(tmp_path_factory.mktemp("flink")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def flink_job_server(flink: Flink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServer]:
    """Beam's job server for that cluster."""
    with job_server.for_flink(flink, tmp_path_factory.mktemp("flink-job-server")) as server:
        yield server


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """A Spark cluster with two cores."""
    with spark_cluster.running(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def spark_job_server(spark: Spark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServer]:
    """Beam's job server for that cluster."""
    with job_server.for_spark(spark, tmp_path_factory.mktemp("spark-job-server")) as server:
        yield server


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> retraining.Month:
    """A month of retraining on one machine, in memory, with which those elsewhere are compared."""
    with made(tmp_path_factory.mktemp("alone")) as bundle:
        retraining.write_dags(bundle.folder / "dags", {})
        retraining.put_trips(bundle.home / "tfx", retraining.JANUARY, retraining.FEBRUARY)
        retraining.run(bundle, retraining.JANUARY, retraining.FEBRUARY)
        found = retraining.latest(bundle)
    assert len(found.metrics) > 3
    return found


@pytest.fixture(scope="session")
def february_alone(alone: retraining.Month) -> dict[str, float]:
    """The metrics of that month's model."""
    return alone.metrics


@pytest.fixture(scope="session")
def worker_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of Beam's own worker pool."""
    with beam_worker_pool.running(tmp_path_factory.mktemp("worker-pool")) as address:
        yield address
