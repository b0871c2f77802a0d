"""The ML Metadata store: addresses, errors without passwords, unfinished executions, the lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.contract import identity, mlmd_facts
from include.tfx_airflow.contract.errors import MlmdError
from include.tfx_airflow.tfx_side.mlmd import database, mlmd_store
from include.tfx_airflow.tfx_side.mlmd.lock import StoreLock

SERVER = {
    "host": "db.example",
    "port": None,
    "database": "mlmd",
    "user": "tfx",
    "password": "a-password",
    "ssl": {},
}
_Execution = metadata_store_pb2.Execution
_ROOT = Path(__file__).resolve().parents[3]


def _python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )


def _put(store: ml_metadata.MetadataStore, task: dict[str, Any], state: int) -> int:
    """Puts an execution as a node does: in the contexts of its run, and of its task instance's tries."""
    kind = store.put_execution_type(metadata_store_pb2.ExecutionType(name="Gen"))
    contexts = []
    names = {
        "pipeline_run": identity.run_name(task["dag_id"], task["run_id"]),
        mlmd_facts.TRIES_CONTEXT: identity.tries_name(task),
    }
    for type_name, name in names.items():
        type_id = store.put_context_type(metadata_store_pb2.ContextType(name=type_name))
        contexts.append(metadata_store_pb2.Context(type_id=type_id, name=name))
    execution = _Execution(type_id=kind, last_known_state=state)
    return store.put_execution(execution, [], contexts, reuse_context_if_already_exist=True)[0]


def test_sqlite_address(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "metadata.db")
    config = mlmd_store.connection_config({"kind": "sqlite", "path": path})
    assert config.sqlite.filename_uri == path
    assert config.sqlite.connection_mode == metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize(("port", "expected"), [(None, 3306), (3307, 3307)])
def test_mysql_address(port: int | None, expected: int) -> None:
    config = mlmd_store.connection_config(
        {**SERVER, "kind": "mysql", "port": port, "ssl": {"ca": "/srv/ca.pem"}}
    ).mysql
    assert (config.host, config.port, config.database) == ("db.example", expected, "mlmd")
    assert (config.user, config.password, config.ssl_options.ca) == ("tfx", "a-password", "/srv/ca.pem")


@pytest.mark.parametrize(("port", "expected"), [(None, "5432"), (5433, "5433")])
def test_postgresql_address(port: int | None, expected: str) -> None:
    address = {**SERVER, "kind": "postgresql", "port": port, "ssl": {"sslmode": "require"}}
    config = mlmd_store.connection_config(address).postgresql
    assert (config.host, config.port, config.dbname) == ("db.example", expected, "mlmd")
    assert (config.user, config.password, config.ssloption.sslmode) == ("tfx", "a-password", "require")


@pytest.mark.parametrize(("text", "expected"), [(True, True), ("true", True), ("false", False)])
def test_ssl_option_that_is_a_truth_value_may_come_as_text(text: object, expected: bool) -> None:
    # A Connection written as a URI has nothing but text in its extra.
    address = {**SERVER, "kind": "mysql", "ssl": {"verify_server_cert": text}}
    assert mlmd_store.connection_config(address).mysql.ssl_options.verify_server_cert is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ({"kind": "sqlite", "path": "/srv/metadata.db"}, "sqlite:////srv/metadata.db"),
        ({**SERVER, "kind": "mysql"}, "mysql://tfx@db.example/mlmd"),
        ({**SERVER, "kind": "postgresql", "port": 5433}, "postgresql://tfx@db.example:5433/mlmd"),
    ],
    ids=["sqlite", "mysql", "postgresql"],
)
def test_describe_has_everything_but_the_password(address: dict[str, Any], expected: str) -> None:
    assert database.describe(address) == expected


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_store_that_cannot_be_reached_is_named_without_the_password(kind: str) -> None:
    address = {**SERVER, "kind": kind, "host": "127.0.0.1", "port": 1}
    with pytest.raises(MlmdError) as caught, mlmd_store.open_store(address):
        pass
    assert f"{kind}://tfx@127.0.0.1:1/mlmd cannot be used" in str(caught.value)
    assert "a-password" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize("case", ["folder", "no-database", "below-a-file"])
def test_file_that_is_no_store_is_named(tmp_path: Path, case: str) -> None:
    path = tmp_path / "metadata.db"
    if case == "folder":
        path.mkdir()
    else:
        path.write_text("this is a text file, and a long one at that\n" * 100)
    if case == "below-a-file":
        path = path / "metadata.db"
    with pytest.raises(MlmdError) as caught, mlmd_store.open_store({"kind": "sqlite", "path": str(path)}):
        pass
    assert f"sqlite:///{path} cannot be used" in str(caught.value)


TASK = {"dag_id": "flow", "run_id": "first", "task_id": "eu.Gen", "map_index": -1}


def test_tries_of_are_those_of_one_task_instance_oldest_first(address: dict[str, Any]) -> None:
    others = (
        {"run_id": "second"},
        {"task_id": "us.Gen"},
        {"task_id": "Gen"},
        {"map_index": 0},
        {"dag_id": "f"},
    )
    with mlmd_store.open_store(address) as store:
        assert mlmd_store.tries_of(store, TASK) == []
        first = _put(store, TASK, _Execution.FAILED)
        for other in others:
            _put(store, {**TASK, **other}, _Execution.COMPLETE)
        again = _put(store, TASK, _Execution.COMPLETE)
        assert [e.id for e in mlmd_store.tries_of(store, TASK)] == [first, again]


def test_fail_unfinished_marks_what_runs_and_says_why(address: dict[str, Any]) -> None:
    with mlmd_store.open_store(address) as store:
        states = (
            _Execution.NEW,
            _Execution.RUNNING,
            _Execution.COMPLETE,
            _Execution.CACHED,
            _Execution.CANCELED,
        )
        ids = [_put(store, TASK, state) for state in states]
        other = _put(store, {**TASK, "task_id": "us.Gen"}, _Execution.RUNNING)
        assert mlmd_store.fail_unfinished(store, TASK, "killed") == ids[:2]
        found = {e.id: e for e in store.get_executions()}
        assert [found[i].last_known_state for i in ids] == [_Execution.FAILED, _Execution.FAILED, *states[2:]]
        assert found[other].last_known_state == _Execution.RUNNING
        assert found[ids[1]].custom_properties["failure"].string_value == "killed"
        assert "failure" not in found[ids[2]].custom_properties
        assert mlmd_store.fail_unfinished(store, TASK, "killed") == []


def test_lock_may_be_taken_again_by_who_has_it_and_excludes_another_process(address: dict[str, Any]) -> None:
    code = """
import json, sys, time
from include.tfx_airflow.tfx_side.mlmd.lock import StoreLock
print("asks", flush=True)
with StoreLock(json.loads(sys.argv[1])):
    print(time.time(), flush=True)
"""
    lock = StoreLock(address)
    with lock:
        with lock:
            pass
        other = _python(code, json.dumps(address))
        assert other.stdout
        assert other.stdout.readline() == "asks\n"
        time.sleep(0.5)
        released = time.time()
    output, errors = other.communicate(timeout=30)
    assert other.returncode == 0, errors
    assert float(output) >= released


def test_lock_of_a_server_takes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with StoreLock({**SERVER, "kind": "mysql"}), StoreLock({**SERVER, "kind": "mysql"}):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
def test_processes_that_write_at_once_all_succeed(address: dict[str, Any]) -> None:
    code = """
import json, sys
from ml_metadata.proto import metadata_store_pb2
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
address = json.loads(sys.argv[1])
for number in range(5):
    with mlmd_store.open_store(address) as store:
        kind = store.put_execution_type(metadata_store_pb2.ExecutionType(name="Gen"))
        store.put_executions([metadata_store_pb2.Execution(type_id=kind, name=f"{sys.argv[2]}-{number}")])
"""
    writers = [_python(code, json.dumps(address), str(number)) for number in range(4)]
    for writer in writers:
        _, errors = writer.communicate(timeout=50)
        assert writer.returncode == 0, errors
    with mlmd_store.open_store(address) as store:
        names = {execution.name for execution in store.get_executions()}
    assert names == {f"{writer}-{number}" for writer in range(4) for number in range(5)}
