"""Executors that run tasks on several machines: what they need, and how its lack is told."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest

from include.tfx_airflow import AirflowDagRunner
from include.tfx_airflow.airflow_side import compiled, machines, mlmd_connection
from include.tfx_airflow.commands import doctor
from include.tfx_airflow.contract.errors import MlmdError, SettingsError
from include.tfx_airflow.settings import Settings


def _executor(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", text)


def _is_dag_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")


def _is_task(monkeypatch: pytest.MonkeyPatch) -> None:
    _is_dag_processor(monkeypatch)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "taxi")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "Trainer")


@pytest.mark.parametrize(
    ("text", "elsewhere"),
    [
        ("LocalExecutor", []),
        ("CeleryExecutor", ["CeleryExecutor"]),
        ("LocalExecutor, CeleryExecutor", ["CeleryExecutor"]),
        ("LocalExecutor;team1=CeleryExecutor;team2=pods:KubernetesExecutor", ["CeleryExecutor", "KubernetesExecutor"]),
        ("here:airflow.executors.local_executor.LocalExecutor", []),
        ("airflow.providers.celery.executors.celery_executor.CeleryExecutor", ["CeleryExecutor"]),
        ("own_executors.Here", []),
        ("own_executors.There", ["There"]),
        ("not_installed.Executor", ["Executor"]),
    ],
)  # fmt: skip
def test_executors_that_run_tasks_elsewhere(
    monkeypatch: pytest.MonkeyPatch, text: str, elsewhere: list[str]
) -> None:
    own = types.ModuleType("own_executors")
    own.Here = type("Here", (), {"is_local": True})
    own.There = type("There", (), {"is_local": False})
    monkeypatch.setitem(sys.modules, "own_executors", own)
    _executor(monkeypatch, text)
    assert machines.executors() == elsewhere


def test_a_pod_that_was_given_another_executor_is_a_machine_of_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _executor(monkeypatch, "LocalExecutor")
    monkeypatch.setenv("AIRFLOW_IS_K8S_EXECUTOR_POD", "True")
    assert machines.executors() == ["KubernetesExecutor"]
    _executor(monkeypatch, "KubernetesExecutor")
    assert machines.executors() == ["KubernetesExecutor"]


def test_the_embedded_store_is_refused_when_a_dag_file_is_parsed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__TFX_AIRFLOW__HOME", str(tmp_path))
    _executor(monkeypatch, "CeleryExecutor")
    with pytest.raises(MlmdError) as caught:
        AirflowDagRunner().run("tests.pipelines.small:write_and_read")
    assert str(caught.value) == (
        "ML Metadata: CeleryExecutor runs tasks on several machines, which cannot share the SQLite file "
        f"'{tmp_path}/mlmd/metadata.db'; set [tfx_airflow] mlmd_conn_id (AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID) to a Connection "
        "of type mysql or postgres."
    )


def test_a_connection_to_a_file_is_refused_and_one_to_a_server_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(home="/srv/tfx", mlmd_conn_id="store")
    _executor(monkeypatch, "KubernetesExecutor")
    monkeypatch.setenv("AIRFLOW_CONN_STORE", "sqlite:////srv/metadata.db")
    with pytest.raises(MlmdError, match="KubernetesExecutor .* '/srv/metadata.db'"):
        mlmd_connection.address(settings)
    monkeypatch.setenv("AIRFLOW_CONN_STORE", "postgres://tfx@db.example/mlmd")
    assert mlmd_connection.address(settings)["kind"] == "postgresql"


def test_the_dag_processor_marks_its_home_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    mark = tmp_path / "home" / machines.MARK
    _is_dag_processor(monkeypatch)
    machines.mark_home(settings)
    assert not mark.exists()  # with LocalExecutor there is nothing to tell apart
    _executor(monkeypatch, "CeleryExecutor")
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT")
    machines.mark_home(settings)
    assert not mark.exists()  # a command
    _is_task(monkeypatch)
    machines.mark_home(settings)
    assert not mark.exists()
    monkeypatch.delenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID")
    machines.mark_home(settings)
    assert [path.name for path in mark.parent.iterdir()] == [machines.MARK]
    before = mark.stat()
    machines.mark_home(settings)
    assert mark.stat() == before  # a parse writes nothing


def test_a_task_whose_home_is_another_folder_does_not_compile_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _executor(monkeypatch, "CeleryExecutor")
    _is_task(monkeypatch)
    with pytest.raises(SettingsError) as caught:
        compiled.load(
            "tests.pipelines.small:write_and_read", {}, Settings(home=str(tmp_path), python="/none")
        )
    for part in (
        f"home = {str(tmp_path)!r}",
        "the compiled 'tests.pipelines.small:write_and_read' is not in it",
        "mount",
    ):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / machines.MARK).touch()  # shared, so only the code is newer than what was compiled
    with pytest.raises(SettingsError, match="'/none' is not an executable"):
        compiled.load(
            "tests.pipelines.small:write_and_read", {}, Settings(home=str(tmp_path), python="/none")
        )


@pytest.mark.parametrize(
    ("root", "path", "parameters", "needed"),
    [
        ("", "/data", {}, True),
        ("${TFX_AIRFLOW_HOME}/x", "/data", {}, True),
        ("s3://bucket/x", "${TFX_AIRFLOW_HOME}/data", {}, True),
        ("s3://bucket/x", "s3://bucket/data", {"to": "${TFX_AIRFLOW_HOME}/served"}, True),
        ("s3://bucket/x", "s3://bucket/data", {"to": "s3://bucket/served"}, False),
    ],
    ids=["no-root", "root", "path", "parameter", "elsewhere"],
)
def test_a_node_needs_the_home_of_all_if_its_pipeline_has_files_there(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    root: str,
    path: str,
    parameters: dict[str, str],
    needed: bool,
) -> None:
    ir = tmp_path / "pipeline.json"
    value = {"defaultValue": {"stringValue": root}} if root else {}
    ir.write_text(json.dumps({"nodes": [path], "runtimeSpec": {"pipelineRoot": {"runtimeParameter": value}}}))
    settings = Settings(home=str(tmp_path / "home"))
    assert machines.check_node(settings, ir, parameters) == ""  # on one machine there is nothing to check
    _executor(monkeypatch, "CeleryExecutor")
    if not needed:
        assert machines.check_node(settings, ir, parameters) == ""
        return
    with pytest.raises(SettingsError, match="its pipeline keeps files in it"):
        machines.check_node(settings, ir, parameters)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / machines.MARK).write_text("worker1 0123\n")
    assert machines.check_node(settings, ir, parameters) == "worker1 0123"


def test_doctor_says_whether_home_is_the_dag_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(home=str(tmp_path))
    assert doctor._machines(settings) == []
    _executor(monkeypatch, "CeleryExecutor")
    assert doctor._machines(settings)[0].startswith("BAD ")
    (tmp_path / machines.MARK).touch()
    assert doctor._machines(settings) == [f"ok  CeleryExecutor: {tmp_path} is the DAG processor's folder"]
