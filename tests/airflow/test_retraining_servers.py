"""Monthly retraining with MLMD on each server: each month twice, the server stopped and started again meanwhile."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.bundle import ROOT, Bundle, Execution, made
from tests.server import wait_until

DAG, DELIVERY = "taxi_retraining", "taxi_retraining_on_delivery"
_COMPONENTS = {
    *("SpanExampleGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator", "AnomalyGate"),
    *(
        "rolling_window",
        "blessed_before",
        "tuned_before",
        "Transform",
        "Trainer",
        "Evaluator",
        "EvidenceGate",
    ),
}
# Run anew each time: a Resolver looks at the store, a Pusher at what is served.
_NEVER_CACHED = {"rolling_window", "blessed_before", "tuned_before", "not_superseded", "Pusher"}


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """An Airflow with the spans of the sample, and the retraining DAG with less time between tries."""
    with made(tmp_path_factory.mktemp("retraining_servers")) as bundle:
        text = (ROOT / "dags/taxi_retraining.py").read_text()
        patient = '"retries": 2, "retry_delay": timedelta(minutes=1)'
        assert text.count(patient) == 1
        text = text.replace(patient, '"retries": 9, "retry_delay": timedelta(seconds=2)')
        for name in (DAG, DELIVERY):  # a file with both, found by the name of either
            (bundle.folder / "dags" / f"{name}.py").write_text(text)
        (bundle.folder / "dags" / "taxi_ingest.py").write_text((ROOT / "dags/taxi_ingest.py").read_text())
        done = bundle.dags_test("taxi_ingest")
        assert done.returncode == 0, done.stdout[-4000:]
        yield bundle


@pytest.mark.long
@pytest.mark.parametrize("start", [servers.mariadb, servers.postgresql], ids=["mysql", "postgresql"])
def test_runs_end_well_although_their_store_went_away_and_come_from_the_cache_when_made_again(
    delivered: Bundle, tmp_path_factory: pytest.TempPathFactory, start: object
) -> None:
    with start(tmp_path_factory.mktemp("server") / "files") as server:
        bundle = dataclasses.replace(
            delivered, environment={**delivered.environment, **server.airflow_environment}
        )
        done = bundle.command("mlmd", "init")
        assert done.returncode == 0, done.stdout
        # December 2013: data to train on.
        december = bundle.dags_test(DELIVERY, "--conf", '{"span": 201312}')
        assert december.returncode == 0, december.stdout[-4000:]

        log = server.folder / "run.log"
        second = bundle.start_dags_test(DAG, "2014-02-01", log=log)
        try:
            for node in ("Transform", "Trainer"):
                wait_until(lambda node=node: _state(server, node) == "RUNNING", 400, node, 0.5)
                server.stop()
                before = _refused(log)
                try:  # until the node wants to publish
                    wait_until(lambda before=before: _refused(log) > before, 120, f"{node} to fail", 0.5)
                finally:
                    server.start()
            assert second.wait(400) == 0, log.read_text(errors="replace")[-6000:]
        finally:
            second.kill()
        made_now = server.executions(DAG)
        finished = collections.Counter(e.node for e in made_now if e.state in ("COMPLETE", "CACHED"))
        assert set(finished) >= _COMPONENTS and set(finished.values()) == {1}, finished
        lost = [execution for execution in made_now if execution.state not in ("COMPLETE", "CACHED")]
        assert lost and {execution.state for execution in lost} == {"FAILED"}
        assert not [output for execution in lost for output in execution.outputs if output[1]]
        for execution in made_now:
            keys = [uri.split("/")[-2] for _, live, uri in execution.outputs if live]
            assert len(keys) == len(set(keys)), execution

        february = _finished(server)
        again = bundle.dags_test(DAG, "2014-02-01")
        assert again.returncode == 0, again.stdout[-6000:]
        repeated = _finished(server)
        assert set(repeated) >= _COMPONENTS
        _check_same_outputs(server, february, repeated)


def _finished(server: servers.Server) -> dict[str, Execution]:
    """The last execution of each node that ended well."""
    return {e.node: e for e in server.executions(DAG) if e.state in ("COMPLETE", "CACHED")}


def _check_same_outputs(
    server: servers.Server, before: dict[str, Execution], again: dict[str, Execution]
) -> None:
    for node, execution in again.items():
        if node not in _NEVER_CACHED:
            assert execution.state == "CACHED" and execution.id != before[node].id, node
            assert server.outputs(execution.id) == server.outputs(before[node].id), node
    assert len(server.outputs(again["SpanExampleGen"].id)) == 1


def _state(server: servers.Server, node: str) -> str:
    found = [execution.state for execution in server.executions(DAG) if execution.node == node]
    return found[-1] if found else ""


def _refused(log: Path) -> int:
    return log.read_text(errors="replace").count("/mlmd cannot be used: ")
