"""The taxi pipeline on a real Flink and a real Spark: its nodes there make what their twins make in memory."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bundle import Bundle
from tests.cluster import beam_workers, taxi
from tests.cluster.flink import Flink
from tests.cluster.spark import Spark


def _of_flink(flink: Flink) -> tuple[str, list[dict[str, Any]]]:
    """Address of its pages, and its jobs."""
    return flink.address, flink.jobs()


def _of_spark(spark: Spark) -> tuple[str, list[dict[str, Any]]]:
    """Address of its pages, and the applications that have ended."""
    return spark.ui, spark.status()["completedapps"]


@pytest.fixture(scope="module", params=[("flink", _of_flink), ("spark", _of_spark)], ids=["flink", "spark"])
def ran(
    request: pytest.FixtureRequest, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[taxi.Run, list[str]]:
    """A run of the pipeline, and the states of its jobs on the cluster."""
    name, of = request.param
    cluster, server = request.getfixturevalue(name), request.getfixturevalue(f"{name}_job_server")
    with beam_workers.running(bundle, tmp_path_factory.mktemp("beam-workers")) as workers:
        connection = beam_workers.connection(server, workers, f"http://{of(cluster)[0]}")
        run = taxi.run(bundle, f"twins_on_{name}", name, **{f"AIRFLOW_CONN_BEAM_{name.upper()}": connection})
    jobs = of(cluster)[1]
    return run, [job["state"] for job in jobs if job["name"].startswith(f"tfx-twins-on-{name}-")]


def test_its_jobs_are_the_clusters_and_end_well(ran: tuple[taxi.Run, list[str]]) -> None:
    run, states = ran
    assert len(states) >= len(taxi.ON_CLUSTER) and set(states) == {"FINISHED"}
    assert set(run.executions) >= {*taxi.ON_CLUSTER, "CsvExampleGen", "Trainer", "Pusher"}


@pytest.mark.parametrize(("node", "key", "what", "relative"), taxi.COMPARED)
def test_a_node_makes_what_it_makes_in_memory(
    ran: tuple[taxi.Run, list[str]], node: str, key: str, what: str, relative: float
) -> None:
    assert ran[0].differences(node, key, what, relative) == []
