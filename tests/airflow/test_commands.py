"""`python -m include.tfx_airflow`: what the commands say, and that `make env` gives a usable Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundle import LANE, ROOT, Bundle


def test_doctor_says_what_is_there_and_what_is_missing(bundle: Bundle) -> None:
    # The DAGs of the bundle itself need nothing that an empty Airflow lacks.
    done = bundle.command("doctor", AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"))
    assert done.returncode == 0, done.stdout
    packages = {
        "1.16": ("tfx 1.16.0", "apache-beam 2.62.0", "ml-metadata 1.16.0"),
        "1.21": ("tfx 1.21.0", "apache-beam 2.77.0", "ml-metadata 1.21.0"),
    }
    for text in ("Airflow 3.3.2", *packages[LANE], "MLMD sqlite:///"):
        assert f"ok  {text}" in done.stdout
    if LANE == "1.16":  # on Python 3.10
        assert (
            "!   TFX runs on Python 3.10, which has had no security fixes since October 2026;" in done.stdout
        )
    assert "BAD" not in done.stdout

    broken = bundle.command(
        "doctor",
        AIRFLOW_CONN_MLMD_DEFAULT="mysql://u:secret@127.0.0.1:1/m",
        AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID="mlmd_default",
    )
    assert broken.returncode == 1
    assert "BAD ML Metadata: mysql://u@127.0.0.1:1/m cannot be used" in broken.stdout
    assert "secret" not in broken.stdout


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID": "store"}, "Connection 'store', named by [tfx_airflow]"),
        ({"AIRFLOW_CONN_MLMD_DEFAULT": "mysql://u:secret@h/m"}, "Connection 'mlmd_default' exists, but"),
    ],
    ids=["named-and-not-there", "there-and-not-named"],
)
def test_commands_take_no_other_store_than_the_settings_say(
    bundle: Bundle, environment: dict[str, str], said: str
) -> None:
    for command in (("doctor",), ("mlmd", "status"), ("mlmd", "init")):
        done = bundle.command(*command, **environment)
        assert done.returncode == 1 and said in done.stdout, done.stdout
        assert "ok  MLMD" not in done.stdout and ":secret@" not in done.stdout


def test_compile_takes_arguments_and_reports_a_pipeline_that_does_not(bundle: Bundle) -> None:
    done = bundle.command("compile", "tests.pipelines.small:write_and_read", "name=by_hand", 'message="2"')
    assert done.returncode == 0 and "2 nodes" in done.stdout
    assert bundle.command("compile", "tests.pipelines.small:write_and_read", "oops").returncode != 0
    failed = bundle.command("compile", "tests.pipelines.small:write_and_read", "nme=1")
    assert failed.returncode == 1
    assert "its arguments do not fit: got an unexpected keyword argument 'nme'" in failed.stdout


def test_report_names_a_run_that_is_not_there(bundle: Bundle) -> None:
    done = bundle.command("report", "nothing_here")
    assert done.returncode == 1
    assert "no run" in done.stdout and "'nothing_here'" in done.stdout


def test_env_makes_airflow_that_of_the_bundle(bundle: Bundle) -> None:
    done = bundle.run(
        "bash", "-c", 'eval "$(make -s env)"; command -v airflow; echo "$AIRFLOW__CORE__DAGS_FOLDER"'
    )
    airflow, dags = done.stdout.split()
    assert airflow.endswith("/airflow/bin/airflow") and dags == str(ROOT)


_NEEDY = """
from datetime import datetime
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
with DAG("needy", schedule=None, start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="trains", bash_command="true", pool="gpu", queue="fast")
    BashOperator(task_id="shows", bash_command="true", pool="there")
    SQLExecuteQueryOperator(task_id="asks", sql="select 1", conn_id="warehouse")
    SQLExecuteQueryOperator(task_id="asks_again", sql="select 1", conn_id="present")
"""


def test_doctor_names_pools_queues_and_connections_that_are_not_there(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text(_NEEDY)
    (tmp_path / "broken.py").write_text("raise ValueError('broken by hand')  # DAG airflow\n")
    environment = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "AIRFLOW_CONN_PRESENT": "postgres://db.example.com/x",
    }
    assert bundle.airflow("pools", "set", "there", "2", "for a test").returncode == 0
    done = bundle.command("doctor", **environment)
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout

    def line(text: str) -> str:
        [found] = [line for line in lines if text in line]
        return found

    assert line("pool 'gpu'").startswith("BAD ") and "needy.trains" in line("pool 'gpu'")
    assert "airflow pools set gpu 1" in line("pool 'gpu'")
    assert line("Connection 'warehouse'").startswith("BAD ") and "needy.asks" in line(
        "Connection 'warehouse'"
    )
    assert "LocalExecutor has no queues" in line("queue 'fast' of needy.trains")
    assert line("DAG file ").startswith("BAD ") and "broken by hand" in line("DAG file ")
    for name in ("'there'", "'present'", "'default_pool'"):
        assert name not in done.stdout
    (tmp_path / "broken.py").unlink()
    (tmp_path / "needy.py").write_text(_NEEDY.replace('"gpu"', '"there"').replace("warehouse", "present"))
    mended = bundle.command("doctor", **environment)
    assert "ok  DAGs: 1; the pools and Connections that they name exist" in mended.stdout
    assert "pool '" not in mended.stdout and "BAD " not in mended.stdout
    assert (
        "Connection 'present'" not in mended.stdout
    )  # those of Beam runners that nothing uses are told, not needed
