"""`airflow dags test` with real TFX nodes: success, cache, failure, retry, skip, parameters, secrets."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.bundle import Bundle

SMALL = "tests.pipelines.small"


def test_a_run_succeeds_and_its_log_ends_with_what_each_node_made(bundle: Bundle) -> None:
    bundle.write_dag("plain", f"{SMALL}:write_and_read", name="plain")
    done = bundle.dags_test("plain", "2014-01-01")
    assert done.returncode == 0, done.stdout[-4000:]
    write, read = bundle.executions("plain")
    assert (write.node, write.state, read.node, read.state) == ("Write", "COMPLETE", "Read", "COMPLETE")
    assert re.search(rf"Write: executed \(MLMD execution {write.id}\)", done.stdout)
    assert re.search(rf"moment +\d+ +String +{re.escape(write.uri('moment'))}", done.stdout)

    again = bundle.dags_test("plain", "2014-01-01")
    assert again.returncode == 0, again.stdout[-4000:]
    assert [e.state for e in bundle.executions("plain")] == ["COMPLETE", "COMPLETE", "CACHED", "CACHED"]
    assert "Read: cached" in again.stdout


def test_xcom_holds_state_ids_and_uris(bundle: Bundle) -> None:
    bundle.write_dag("xcom", f"{SMALL}:write_and_read", name="xcom")
    assert bundle.dags_test("xcom").returncode == 0
    [(text,)] = bundle.airflow_rows(
        "select value from xcom where dag_id = 'xcom' and task_id = 'Write' and key = 'return_value'"
    )
    write = bundle.executions("xcom")[0]
    assert '"state": "executed"' in text and f'"execution_id": {write.id}' in text
    assert write.uri("text") in text and write.uri("moment") in text and len(text) < 2000


def test_a_broken_trainer_fails_the_run_with_its_own_traceback_last(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "trips.csv").write_text("fare,tips\n1.0,0.1\n2.0,0.5\n3.0,0.0\n")
    bundle.write_dag(
        "broken_trainer", "tests.pipelines.broken_trainer:create_pipeline", data_root=str(tmp_path)
    )
    done = bundle.dags_test("broken_trainer")
    assert done.returncode != 0
    error = done.stdout[done.stdout.index("Node failed: Trainer 'Trainer'") :]
    assert "broken_trainer.py" in error and 'layers["convolution"] += 1' in error
    assert "KeyError: 'convolution'" in error
    examples, trainer = bundle.executions("broken_trainer")
    assert (examples.state, trainer.node, trainer.state) == ("COMPLETE", "Trainer", "FAILED")


def test_a_retried_node_leaves_one_set_of_live_outputs(bundle: Bundle, tmp_path: Path) -> None:
    bundle.write_dag(
        "fail_once",
        f"{SMALL}:fail_once",
        config="node_configs={'FailOnce': NodeConfig(retries=1, retry_delay=timedelta(seconds=0))},",
        marker=str(tmp_path / "marker"),
    )
    done = bundle.dags_test("fail_once")
    assert done.returncode == 0, done.stdout[-4000:]
    first, second, read = bundle.executions("fail_once")
    assert (first.state, second.state, read.state) == ("FAILED", "COMPLETE", "COMPLETE")
    assert first.outputs == ()
    assert [live for _, live, _ in second.outputs] == [True]
    assert not Path(first_uri := second.outputs[0][2].replace(f"/{second.id}/", f"/{first.id}/")).exists(), (
        first_uri
    )
    assert Path(read.outputs[0][2]).read_text() == "whole"


def test_a_node_killed_with_sigkill_is_failed_in_mlmd_and_its_retry_finishes(
    bundle: Bundle, tmp_path: Path
) -> None:
    bundle.write_dag(
        "kill_itself",
        f"{SMALL}:kill_itself",
        config="node_configs={'KillItself': NodeConfig(retries=1, retry_delay=timedelta(seconds=0))},",
        marker=str(tmp_path / "marker"),
    )
    done = bundle.dags_test("kill_itself")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "killed by SIGKILL" in done.stdout
    assert [e.state for e in bundle.executions("kill_itself")] == ["FAILED", "COMPLETE"]


def test_a_false_cond_skips_the_node_and_what_needs_it(bundle: Bundle) -> None:
    bundle.write_dag("conditional", f"{SMALL}:conditional")
    done = bundle.dags_test("conditional")
    assert done.returncode == 0, done.stdout[-4000:]
    states = dict(
        bundle.airflow_rows("select task_id, state from task_instance where dag_id = 'conditional'")
    )
    assert states == {"Write": "success", "Read": "skipped", "ReadAgain": "skipped"}
    assert [e.node for e in bundle.executions("conditional")] == ["Write"]


def test_inputs_that_cannot_be_resolved_fail_the_task(bundle: Bundle) -> None:
    bundle.write_dag("unresolved", f"{SMALL}:resolver_without_input")
    done = bundle.dags_test("unresolved")
    assert done.returncode != 0
    error = done.stdout[done.stdout.index("Node failed: Resolver 'latest'") :]
    assert "InputResolutionError: Error while resolving inputs for latest" in error
    assert [(e.node, e.state) for e in bundle.executions("unresolved")] == [("latest", "FAILED")]


def test_runtime_parameters_reach_the_node_typed_with_conf_default_and_template(bundle: Bundle) -> None:
    bundle.write_dag(
        "parameters",
        f"{SMALL}:parameters",
        config="runtime_parameters={'label': 'of {{ data_interval_start | ds }}'},",
    )
    done = bundle.dags_test("parameters", "2014-02-03", "--conf", '{"count": 7, "options": {"depth": 3}}')
    assert done.returncode == 0, done.stdout[-4000:]
    [execution] = bundle.executions("parameters")
    assert Path(execution.outputs[0][2]).read_text() == "7 0.5 'of 2014-02-03' '{\"depth\": 3}'"
    typed = "{{ conn.mlmd_default.password }}"
    done = bundle.dags_test("parameters", "2014-02-04", "--conf", f'{{"label": "{typed}"}}')
    assert done.returncode == 0, done.stdout[-4000:]
    assert typed in Path(bundle.executions("parameters")[-1].outputs[0][2]).read_text()


@pytest.mark.parametrize("server", ["True", "False"], ids=["forked", "new"])
def test_a_password_appears_nowhere(bundle: Bundle, server: str) -> None:
    secret = "pa55-w0rd-of-nobody"
    connection = f"postgres://tfx:{secret}@127.0.0.1:1/mlmd"
    bundle.write_dag("secret", f"{SMALL}:write_and_read", name="secret")
    seen: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    line = path.read_bytes().decode(errors="replace")
                    if "tfx_airflow.tfx_side" in line or secret in line:
                        seen.append(line)
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = bundle.dags_test(
            "secret",
            AIRFLOW_CONN_MLMD_SERVER=connection,
            AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID="mlmd_server",
            AIRFLOW__TFX_AIRFLOW__NODE_SERVER=server,
        )
    finally:
        done.set()
        watcher.join()
    assert result.returncode != 0
    assert "postgresql://tfx@127.0.0.1:1/mlmd" in result.stdout
    assert any(("serve" if server == "True" else "run_node") in line for line in seen)
    assert not [line for line in seen if secret in line]
    assert secret not in result.stdout
    assert bundle.files_with(secret) == []
    for path in Path(tempfile.gettempdir(), f"tfx-airflow-{os.getuid()}").rglob("*.log"):
        assert secret.encode() not in path.read_bytes()


def test_a_node_ends_and_is_failed_in_mlmd_when_the_asking_task_is_killed_hard(
    bundle: Bundle, tmp_path: Path
) -> None:
    started = tmp_path / "pid"
    bundle.write_dag("orphan", f"{SMALL}:sleep", started=str(started))
    process = bundle.start_dags_test("orphan")
    try:
        deadline = time.monotonic() + 180
        while not started.exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.2)
        pid = int(started.read_text())
        assert Path(f"/proc/{pid}").exists()
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the node outlived the task that asked for it"
        time.sleep(0.1)
    [execution] = bundle.executions("orphan")
    assert execution.state == "FAILED" and execution.outputs == ()
    assert bundle.properties(execution.id)["failure"] == "the task was killed"


def test_metrics_that_are_no_numbers_are_told_as_such_and_the_run_succeeds(bundle: Bundle) -> None:
    config = "node_configs={'Judge': NodeConfig(outlets=[Asset('judged')])},"
    path = bundle.write_dag("no_numbers", "tests.pipelines.evaluations:no_numbers", config=config)
    path.write_text("from airflow.sdk import Asset\n" + path.read_text())
    done = bundle.dags_test("no_numbers")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "NOT BLESSED" in done.stdout and "threshold failed: recall" in done.stdout
    query = "select value from xcom where dag_id = 'no_numbers' and key = 'return_value'"
    [(text,)] = bundle.airflow_rows(query)
    expected = {
        "recall": {"value": "NaN"},
        "loss": {"value": "Infinity", "lower": "-Infinity", "upper": "NaN"},
    }
    assert json.loads(text)["summary"]["metrics"] == expected
    [(extra,)] = bundle.airflow_rows("select extra from asset_event order by id desc limit 1")
    assert json.loads(extra)["summary"]["metrics"] == expected
    report = bundle.command("report", "no_numbers").stdout
    assert re.search(r"loss +inf +\[-inf, nan\]", report) and re.search(r"recall +nan", report)


def test_a_connection_that_cannot_be_read_costs_an_attempt_and_makes_no_other_store(
    bundle: Bundle, tmp_path: Path
) -> None:
    retries = "node_configs={'Write': NodeConfig(retries=2, retry_delay=timedelta(seconds=1))},"
    bundle.write_dag("flaky", f"{SMALL}:write_and_read", retries, name="flaky")
    before = bundle.mlmd.read_bytes() if bundle.mlmd.exists() else None
    environment = {
        "AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID": "store",
        "AIRFLOW__SECRETS__BACKEND": "tests.flaky_secrets.FlakySecrets",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"folder": str(tmp_path), "failures": 2}),
    }
    done = bundle.dags_test("flaky", **environment)
    assert done.returncode == 0, done.stdout[-4000:]
    assert (
        "ML Metadata: Connection 'store', named by [tfx_airflow] mlmd_conn_id, does not exist or"
        in done.stdout
    )
    assert "hidden-token" not in done.stdout
    tries = dict(
        bundle.airflow_rows("select task_id, try_number from task_instance where dag_id = ?", "flaky")
    )
    assert tries["Write"] > 1
    assert (bundle.mlmd.read_bytes() if bundle.mlmd.exists() else None) == before
    assert (tmp_path / "named.db").exists()
