"""The taxi pipeline on a real Flink and a real Spark: its nodes there make what their twins make in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bundle import Bundle
from tests.cluster import beam_workers, taxi


@contextlib.contextmanager
def _on_flink(
    bundle: Bundle, request: pytest.FixtureRequest, folder: Any
) -> Iterator[tuple[taxi.Run, list[str]]]:
    flink, server = request.getfixturevalue("flink"), request.getfixturevalue("flink_job_server")
    with beam_workers.running(bundle, folder) as workers:
        address = beam_workers.connection(server, workers, f"http://{flink.address}")
        run = taxi.run(bundle, "twins_on_flink", "flink", AIRFLOW_CONN_BEAM_FLINK=address)
        yield run, [job["state"] for job in flink.jobs() if job["name"].startswith("tfx-twins-on-flink-")]


@contextlib.contextmanager
def _on_spark(
    bundle: Bundle, request: pytest.FixtureRequest, folder: Any
) -> Iterator[tuple[taxi.Run, list[str]]]:
    spark, server = request.getfixturevalue("spark"), request.getfixturevalue("spark_job_server")
    with beam_workers.running(bundle, folder) as workers:
        address = beam_workers.connection(server, workers, f"http://{spark.ui}")
        run = taxi.run(bundle, "twins_on_spark", "spark", AIRFLOW_CONN_BEAM_SPARK=address)
        applications = spark.status()["completedapps"]
        yield run, [one["state"] for one in applications if one["name"].startswith("tfx-twins-on-spark-")]


@pytest.fixture(scope="module", params=[_on_flink, _on_spark], ids=["flink", "spark"])
def ran(
    request: pytest.FixtureRequest, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[taxi.Run, list[str]]]:
    """A run of the pipeline, and the states of its jobs on the cluster."""
    with request.param(bundle, request, tmp_path_factory.mktemp("beam-workers")) as found:
        yield found


def test_its_jobs_are_the_clusters_and_end_well(ran: tuple[taxi.Run, list[str]]) -> None:
    run, states = ran
    assert len(states) >= len(taxi.ON_CLUSTER) and set(states) == {"FINISHED"}
    assert set(run.executions) >= {*taxi.ON_CLUSTER, "CsvExampleGen", "Trainer", "Pusher"}


@pytest.mark.parametrize(("node", "key", "what", "relative"), taxi.COMPARED)
def test_a_node_makes_what_it_makes_in_memory(
    ran: tuple[taxi.Run, list[str]], node: str, key: str, what: str, relative: float
) -> None:
    assert ran[0].differences(node, key, what, relative) == []
