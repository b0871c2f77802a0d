"""The MLMD store on real servers: the Connection alone chooses them; no task makes, migrates or breaks one."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.tfx_airflow.airflow_side import compiled
from include.tfx_airflow.settings import Settings
from tests import servers
from tests.bundle import ROOT, TFX_PYTHON, Bundle
from tests.server import wait_until

# Its pipelines have the same arguments on each server, so that each is compiled once.
SMALL = "tests.pipelines.small"
_RETRIES = "NodeConfig(retries=8, retry_delay=timedelta(seconds=2))"
# Tasks that start at once; ASKERS=8 for more of them.
_ASKERS = int(os.environ.get("ASKERS", "4"))


@pytest.fixture(scope="module", params=[servers.mariadb, servers.postgresql], ids=["mysql", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Server]:
    """A running server; its database is empty or has a schema, as the test before left it."""
    with request.param(tmp_path_factory.mktemp("server") / "files") as running:
        yield running


@pytest.fixture
def there(bundle: Bundle, server: servers.Server) -> Bundle:
    """The Airflow of all tests, with the Connection to the server."""
    return dataclasses.replace(bundle, environment={**bundle.environment, **server.airflow_environment})


@pytest.fixture(scope="module")
def checks() -> Iterator[subprocess.Popen[str]]:
    """A process that runs them."""
    command = [TFX_PYTHON, "-m", "tests.mlmd_checks"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield process
        process.stdin.close()


def _mlmd(there: Bundle, action: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return there.command("mlmd", action, **environment)


def _check(checks: subprocess.Popen[str], server: servers.Server, check: str) -> None:
    """Runs one of `tests.mlmd_checks` on an empty store."""
    server.clear()
    said = server.folder / "said"
    said.unlink(missing_ok=True)
    checks.stdin.write(json.dumps({"check": check, "address": server.address, "said": str(said)}) + "\n")
    checks.stdin.flush()
    assert checks.stdout.readline() == "0\n", said.read_text()[-6000:]


def _tables(server: servers.Server) -> int:
    schema = "public" if server.kind == "postgresql" else server.database
    sql = "select count(*) from information_schema.tables where table_schema = %s"
    return server.rows(sql, schema)[0][0]


def _tries(there: Bundle, dag_id: str) -> list[tuple[str, int]]:
    return there.airflow_rows("select state, try_number from task_instance where dag_id = ?", dag_id)


def test_a_database_that_is_not_there_is_left_to_its_administrator(
    there: Bundle, server: servers.Server
) -> None:
    done = _mlmd(there, "init", AIRFLOW_CONN_MLMD_SERVER=server.connection_to("mlmd_other"))
    assert done.returncode == 1
    assert "there is no database 'mlmd_other'" in done.stdout and "CREATE DATABASE" in done.stdout
    databases = "pg_database" if server.kind == "postgresql" else "information_schema.schemata"
    name = "datname" if server.kind == "postgresql" else "schema_name"
    assert server.rows(f"select count(*) from {databases} where {name} = 'mlmd_other'") == [[0]]


def test_a_task_makes_no_schema_and_says_who_does(there: Bundle, server: servers.Server) -> None:
    server.clear()
    dag_id = f"without_schema_{server.kind}"
    there.write_dag(
        dag_id, f"{SMALL}:work", f"node_configs={{'Work': {_RETRIES}}},", pids=str(there.folder / "never")
    )
    done = there.dags_test(dag_id)
    assert done.returncode != 0
    assert (
        f"{server.database} has no MLMD schema; run 'python -m include.tfx_airflow mlmd init'." in done.stdout
    )
    assert _tries(there, dag_id) == [("failed", 1)]
    assert _tables(server) == 0
    status = _mlmd(there, "status")
    assert status.returncode == 1 and "has no MLMD schema" in status.stdout


def test_a_run_is_on_the_server_and_nowhere_else(there: Bundle, server: servers.Server) -> None:
    server.clear()
    first = _mlmd(there, "init")
    assert first.returncode == 0 and "created MLMD schema version 10" in first.stdout, first.stdout
    again = _mlmd(there, "init")
    assert again.returncode == 0 and "already; nothing was changed" in again.stdout
    dag_id = f"on_{server.kind}"
    message = 'its "config": {\\"depth\\": 2}, C:\\data, it\'s ü'
    there.write_dag(dag_id, f"{SMALL}:write_and_read", name="on_server", message=message)
    done = there.dags_test(dag_id)
    assert done.returncode == 0, done.stdout[-4000:]
    write, read = server.executions(dag_id)
    assert Path(write.uri("text")).read_text() == message
    assert (write.node, write.state, read.node, read.state) == ("Write", "COMPLETE", "Read", "COMPLETE")
    assert [live for _, live, _ in (*write.outputs, *read.outputs)] == [True] * 3
    assert Path(read.uri("copy")).read_text() == Path(write.uri("moment")).read_text()
    assert not there.mlmd.exists() or not there.executions(dag_id)

    counts = "MLMD schema version 10; 1 pipelines, 1 runs, 2 executions, 3 artifacts"
    status = _mlmd(there, "status")
    assert status.returncode == 0 and counts in status.stdout, status.stdout
    doctor = there.command("doctor")
    assert doctor.returncode == 0 and counts in doctor.stdout, doctor.stdout
    printed = [done.stdout, again.stdout, status.stdout, doctor.stdout]
    for text in (server.password, urllib.parse.quote(server.password, safe="")):
        assert not any(text in output for output in printed)
        assert there.files_with(text) == []


@pytest.mark.timeout(300, func_only=True)
@pytest.mark.parametrize(
    "check",
    ["order", "type_lock", "node_lock", "idle_lock", "in_flight", "lost_lock", "resolution", "retention"],
    ids=str,
)
def test_store_keeps_its_word(server: servers.Server, checks: subprocess.Popen[str], check: str) -> None:
    """See `tests.mlmd_checks`, which says of each what it is."""
    _check(checks, server, check)


def test_second_run_comes_from_the_cache_with_each_output_in_its_place(
    there: Bundle, server: servers.Server, checks: subprocess.Popen[str]
) -> None:
    _check(checks, server, "init")
    if server.kind == "postgresql":  # as it joins when the tables have grown
        for way in ("enable_nestloop", "enable_mergejoin", "enable_indexscan"):
            server.rows(f"alter role {server.user} set {way} = off")
    dag_id = f"twice_{server.kind}"
    there.write_dag(dag_id, f"{SMALL}:write_and_read", name="twice")
    for _ in range(3):
        done = there.dags_test(dag_id)
        assert done.returncode == 0, done.stdout[-4000:]
    runs = server.executions(dag_id)
    assert [(e.node, e.state) for e in runs] == [
        *(("Write", "COMPLETE"), ("Read", "COMPLETE")),
        *(("Write", "CACHED"), ("Read", "CACHED")) * 2,
    ]
    for again in (runs[2:4], runs[4:]):
        for first, cached in zip(runs[:2], again, strict=True):
            assert server.outputs(cached.id) == server.outputs(first.id)
    if server.kind == "postgresql":
        server.rows(f"alter role {server.user} reset all")


@pytest.mark.parametrize("version", [9, pytest.param(11, marks=pytest.mark.long)])
def test_another_schema_version_is_named_and_not_touched(
    there: Bundle, server: servers.Server, checks: subprocess.Popen[str], version: int
) -> None:
    _check(checks, server, "init")
    tables = _tables(server)
    server.rows("update MLMDEnv set schema_version = %s", version)
    said = f"has MLMD schema version {version}, but this ml_metadata needs version 10"
    init = _mlmd(there, "init")
    assert init.returncode == 1 and said in init.stdout
    if version == 9:
        dag_id = f"old_{server.kind}"
        there.write_dag(dag_id, f"{SMALL}:write_and_read", name="twice")
        done = there.dags_test(dag_id)
        assert done.returncode != 0 and said in done.stdout
    assert server.rows("select schema_version from MLMDEnv") == [[version]]
    assert _tables(server) == tables


def test_tasks_that_start_at_once_register_each_type_and_context_once(
    there: Bundle, server: servers.Server, checks: subprocess.Popen[str]
) -> None:
    _check(checks, server, "init")
    settings = Settings(
        python=there.environment["AIRFLOW__TFX_AIRFLOW__PYTHON"], home=str(there.home / "tfx")
    )
    ir = str(compiled.load(f"{SMALL}:write_and_read", {"name": "at_once"}, settings).ir)
    asked = []
    for number in range(_ASKERS):
        run = f"at_once:run{number}"
        task = {"dag_id": "at_once", "run_id": run, "task_id": "Write", "map_index": -1}
        task |= {"try_number": 1, "first_try": 1, "key": f"{run}:{number}"}
        request = {
            "ir": ir,
            "node_id": "Write",
            "run": run,
            "task": task,
            "parameters": {},
            "mlmd": server.address,
            "roots": settings.roots(),
        }
        path = server.folder / f"request{number}.json"
        path.write_text(json.dumps({"settings": dataclasses.asdict(settings), "request": request}))
        asked.append(path)
    # All of them find the table locked when they come, and go on together.
    gate = "do $$ begin lock table type in access exclusive mode; perform pg_sleep(4); end $$"
    with concurrent.futures.ThreadPoolExecutor(_ASKERS + 1) as pool:
        locked = pool.submit(server.rows, gate if server.kind == "postgresql" else "select sleep(4)")
        command = ("python", "-m", "tests.asker")
        done = list(pool.map(lambda path: there.run(*command, str(path)), asked))
        locked.result()
    for process in done:
        assert process.returncode == 0, process.stdout[-3000:]
        assert json.loads(process.stdout.splitlines()[-1])["state"] in ("executed", "cached"), process.stdout
    for table in ("Type", "Context"):
        key = "type_kind, name" if table == "Type" else "type_id, name"
        assert server.rows(f"select {key}, count(*) from {table} group by {key} having count(*) > 1") == []
    assert len(server.executions("at_once")) == _ASKERS


def test_a_server_that_goes_away_costs_an_attempt_and_nothing_else(
    there: Bundle, server: servers.Server, checks: subprocess.Popen[str]
) -> None:
    _check(checks, server, "init")
    dag_id = f"outage_{server.kind}"
    pids = there.folder / "outage.pids"
    pids.unlink(missing_ok=True)  # of the server before
    there.write_dag(
        dag_id, f"{SMALL}:work", f"node_configs={{'Work': {_RETRIES}}},", pids=str(pids), seconds=2.0
    )
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        run = pool.submit(there.dags_test, dag_id)
        try:
            wait_until(lambda: pids.exists() or run.done(), 120)
            server.stop()
            time.sleep(5)
        finally:
            server.start()
        done = run.result()
    assert done.returncode == 0, done.stdout[-6000:]
    said = [line for line in done.stdout.splitlines() if line.startswith("ML Metadata: ")]
    assert said and all(f"{server.database} cannot be used: " in line for line in said), done.stdout[-6000:]
    assert "Make sure that it is running, and that the Airflow Connection is right." in said[0]
    lost, last = server.executions(dag_id)
    assert (lost.state, lost.outputs, last.state) == ("FAILED", (), "COMPLETE")
    assert [live for _, live, _ in last.outputs] == [True]
    assert Path(last.outputs[0][2]).read_text() == "whole"
