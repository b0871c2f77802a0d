"""Two Celery workers on machines of their own: one run over both, equal to one machine's; a worker that vanishes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle import Bundle
from tests.cluster import celery_workers, network, retraining
from tests.cluster.celery_workers import Cluster
from tests.server import wait_until

TRAINING = {"train_args": {"num_steps": 150}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Airflow without TFX, and two workers with it; the second one is for the queue `gpu` too."""
    with network.made() as made:
        with celery_workers.running(tmp_path_factory.mktemp("celery"), made) as running:
            running.add_worker("worker1", "default")
            running.add_worker("worker2", "default,gpu")
            yield running


def _failed(cluster: Cluster, dag_id: str, run_id: str) -> str:
    """For a run that did not succeed: the log of its first failed task."""
    for name, task in cluster.client.tasks(dag_id, run_id).items():
        if task["state"] == "failed":
            return cluster.client.log(dag_id, run_id, name, task["try_number"])[-6000:]
    return str({name: task["state"] for name, task in cluster.client.tasks(dag_id, run_id).items()})


def test_a_run_over_two_workers_has_the_metrics_of_a_run_on_one_machine(
    cluster: Cluster, bundle: Bundle
) -> None:
    began = time.monotonic()
    run_id = cluster.client.trigger("taxi", "over_two", TRAINING)
    assert cluster.client.wait_for_run("taxi", run_id) == "success", _failed(cluster, "taxi", run_id)
    print(f"taxi over two workers: {time.monotonic() - began:.0f} s")
    tasks = cluster.client.tasks("taxi", run_id)
    hosts = {name: task["hostname"] for name, task in tasks.items()}
    assert set(hosts.values()) == {"worker1", "worker2"}, hosts
    assert hosts["Trainer"] == "worker2" and tasks["Trainer"]["queue"] == "gpu"
    assert [len(cluster.node_servers(name)) for name in ("worker1", "worker2")] == [1, 1]
    executions = cluster.store.executions("taxi", run_id)
    assert {execution.state for execution in executions} == {"COMPLETE"} and len(executions) == len(tasks)

    bundle.write_dag(
        "taxi", "include.taxi.pipeline:create_pipeline", serving_dir=str(bundle.folder / "serving")
    )
    done = bundle.dags_test("taxi", "--conf", json.dumps(TRAINING))
    assert done.returncode == 0, done.stdout[-4000:]
    [(alone,)] = bundle.airflow_rows(
        "select value from xcom where dag_id = 'taxi' and task_id = 'Evaluator' and key = 'return_value'"
    )
    together = cluster.client.xcom("taxi", run_id, "Evaluator", "return_value")
    assert retraining.metrics(together) == pytest.approx(retraining.metrics(alone), rel=retraining.RELATIVE)
    assert len(retraining.metrics(alone)) > 3


def test_a_month_of_retraining_over_two_workers_has_the_metrics_of_one_machine(
    cluster: Cluster, february_alone: dict[str, float]
) -> None:
    shared = cluster.services.folder / "airflow" / "tfx"
    retraining.put_trips(shared, retraining.JANUARY, retraining.FEBRUARY)
    for dag_id, run_id, conf in (
        ("taxi_ingest", "delivery", {"raw": "*.csv"}),
        ("taxi_retraining", "january", {"span": retraining.JANUARY}),
        ("taxi_retraining", "february", {"span": retraining.FEBRUARY}),
    ):
        cluster.client.trigger(dag_id, run_id, conf)
        assert cluster.client.wait_for_run(dag_id, run_id) == "success", _failed(cluster, dag_id, run_id)
    found = cluster.client.xcom("taxi_retraining", "february", "Evaluator", "return_value")
    assert retraining.metrics(found) == pytest.approx(february_alone, rel=retraining.RELATIVE)
    hosts = {task["hostname"] for task in cluster.client.tasks("taxi_retraining", "february").values()}
    assert hosts >= {"worker1", "worker2"}


def test_a_worker_that_vanishes_in_the_middle_costs_one_retry_and_nothing_is_there_twice(
    cluster: Cluster,
) -> None:
    run_id = cluster.client.trigger("taxi", "vanished", {"train_args": {"num_steps": 2000}})

    def trains() -> bool:
        states = {e.node: e.state for e in cluster.store.executions("taxi", run_id)}
        return states.get("Trainer") == "RUNNING"

    wait_until(trains, 300, "Trainer to run", 0.5)
    cluster.kill_worker("worker2")
    killed = time.monotonic()
    cluster.add_worker("worker2", "default,gpu")
    assert cluster.client.wait_for_run("taxi", run_id) == "success", _failed(cluster, "taxi", run_id)
    print(f"from the worker's end to the run's: {time.monotonic() - killed:.0f} s")
    assert cluster.client.tasks("taxi", run_id)["Trainer"]["try_number"] == 2
    executions = cluster.store.executions("taxi", run_id)
    assert [e.state for e in executions if e.node == "Trainer"] == ["FAILED", "COMPLETE"]
    assert {e.state for e in executions} <= {"FAILED", "COMPLETE", "CACHED"}
    live = [uri for e in executions for type_, is_live, uri in e.outputs if type_ == "Model" and is_live]
    assert len(live) == len(set(live)) == 1
    by_node: dict[str, int] = {}
    for execution in executions:
        if execution.state != "FAILED":
            by_node[execution.node] = by_node.get(execution.node, 0) + 1
    assert set(by_node.values()) == {1} and len(by_node) == len(cluster.client.tasks("taxi", run_id))


def test_a_worker_whose_home_is_another_folder_is_told_so_and_does_nothing_there(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.stop_worker("worker2")
    cluster.add_worker("worker2", "gpu", AIRFLOW__TFX_AIRFLOW__HOME=str(tmp_path))
    run_id = cluster.client.trigger("small")
    assert cluster.client.wait_for_run("small", run_id) == "failed"
    log = cluster.client.log("small", run_id, "Read")
    for part in (
        "CeleryExecutor runs tasks on several machines",
        str(tmp_path),
        "'worker2'",
        "mount one shared folder",
    ):
        assert part in log, log[-6000:]
    assert list(tmp_path.iterdir()) == []
    assert [e.node for e in cluster.store.executions("small", run_id)] == ["Write"]


def test_no_password_is_in_a_log(cluster: Cluster) -> None:
    texts = {path: path.read_text(errors="replace") for path in cluster.services.folder.rglob("*.log")}
    assert len(texts) > 10
    for line in (cluster.services.folder / ".env").read_text().splitlines():
        name, _, value = line.partition("=")
        if name != "COMPOSE_FILE":
            assert [path for path, text in texts.items() if value in text] == [], name
