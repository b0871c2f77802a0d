"""The taxi pipeline on a real Flink: its nodes there make what their twins make in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bundle import Bundle
from tests.cluster import beam_workers, taxi
from tests.cluster.flink import Flink
from tests.cluster.job_server import JobServer


@pytest.fixture(scope="module")
def run(
    bundle: Bundle, flink: Flink, flink_job_server: JobServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[taxi.Run]:
    """A run of the pipeline."""
    with beam_workers.running(bundle, tmp_path_factory.mktemp("beam-workers")) as workers:
        address = beam_workers.connection(flink_job_server, workers, f"http://{flink.address}")
        yield taxi.run(bundle, "twins_on_flink", "flink", AIRFLOW_CONN_BEAM_FLINK=address)


def test_its_jobs_are_flink_jobs_and_end_well(run: taxi.Run, flink: Flink) -> None:
    jobs = [job for job in flink.jobs() if job["name"].startswith("tfx-twins-on-flink-")]
    assert len(jobs) >= len(taxi.ON_CLUSTER)
    assert {job["state"] for job in jobs} == {"FINISHED"}
    assert set(run.executions) >= {*taxi.ON_CLUSTER, "CsvExampleGen", "Trainer", "Pusher"}


@pytest.mark.parametrize(("node", "key", "what", "relative"), taxi.COMPARED)
def test_a_node_makes_what_it_makes_in_memory(
    run: taxi.Run, node: str, key: str, what: str, relative: float
) -> None:
    assert run.differences(node, key, what, relative) == []
