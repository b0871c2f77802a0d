"""Stores that cannot be read say why in one sentence, and reading never changes one."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlmd_panel.errors import BadQuery, SettingsError, StoreError
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.filters import ArtifactFilter, ExecutionFilter, PropertyFilter, RunFilter
from mlmd_panel.store.records import Execution
from mlmd_panel.store.run_index import dag_and_run_id
from mlmd_panel.store.store import Store, run_state

from tests import killed_writer, servers
from tests.bundle import ROOT
from tests.panel.stores import url, written

_READER = """
import sys
from mlmd_panel.store.engine import make_engine
from mlmd_panel.errors import StoreError
from mlmd_panel.store.filters import RunFilter
from mlmd_panel.store.store import Store
try:
    print(len(Store(make_engine("sqlite:///" + sys.argv[1])).runs(RunFilter(), None).rows), "runs")
except StoreError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with a few runs, not to be changed."""
    path = tmp_path_factory.mktemp("template") / "metadata.db"
    written({"kind": "sqlite", "path": str(path)}, "tasks")
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(template, tmp_path / "metadata.db"))


def _store(path: Path, **options: float) -> Store:
    return Store(make_engine(f"sqlite:///{path}"), **options)


def _said(store: Store) -> str:
    with pytest.raises(StoreError) as caught:
        store.check()
    return str(caught.value)


def test_a_file_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    store = _store(tmp_path / "none" / "metadata.db")
    assert _said(store) == "The store's file does not exist yet; the first node creates it."
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_appears_later_is_read(template: Path, tmp_path: Path) -> None:
    store = _store(tmp_path / "metadata.db")
    _said(store)
    (tmp_path / "metadata.db").touch()
    assert "no ML Metadata schema yet" in _said(store) and os.path.getsize(tmp_path / "metadata.db") == 0
    shutil.copy(template, tmp_path / "metadata.db")
    assert len(store.runs(RunFilter(), None).rows) == 4
    # Another one in its place, whose run has the same id.
    with contextlib.closing(sqlite3.connect(tmp_path / "metadata.db")) as connection, connection:
        connection.execute("update Context set name = 'other:' || name where name not like '%.%'")
    assert {run.dag_id for run in store.runs(RunFilter(), None).rows} == {"other"}


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ([9], "The store has ML Metadata schema version 9; the panel reads version 10."),
        ([11], "The store has ML Metadata schema version 11; the panel reads version 10."),
        ([9, 10], "The store has 2 schema versions, [9, 10]"),
        ([], "has no schema version"),
    ],
)
def test_another_schema_version_is_refused_with_both(path: Path, versions: list[int], sentence: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("delete from MLMDEnv")
        connection.executemany("insert into MLMDEnv values (?)", [(version,) for version in versions])
    assert sentence in _said(_store(path))


def test_a_file_that_is_no_database_is_named_without_its_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metadata.db"
    path.write_text("this is a text file, and a long one at that\n" * 100)
    with caplog.at_level(logging.WARNING):
        said = _said(_store(path))
    assert said == "The store's file is not an SQLite database, or is damaged."
    assert str(path) in caplog.text


def test_a_writer_that_commits_is_waited_for_not_for_long(path: Path) -> None:
    store = _store(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("begin immediate")
        store.check()  # a writer that has not come to its end is in nobody's way
        writer.execute("rollback")
        writer.execute("begin exclusive")
        assert _said(store) == "The store is locked by a writer; reload the page in a moment."
    store.check()


def test_what_a_killed_writer_left_is_rolled_back(path: Path) -> None:
    before = path.read_bytes()
    subprocess.run([sys.executable, "-c", killed_writer.CODE, path], timeout=60)
    assert os.path.getsize(f"{path}-journal") > 0 and path.read_bytes() != before
    assert len(_store(path).runs(RunFilter(), None).rows) == 4
    assert path.read_bytes() == before


def _read_as_who_may_not_write(path: Path) -> str:
    # The superuser may write everywhere, unless it gives that up.
    drop = (
        ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    )
    done = subprocess.run(
        [*drop, sys.executable, "-c", _READER, path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_read_only_file_is_read(path: Path) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        assert _read_as_who_may_not_write(path) == "4 runs"
    finally:
        path.parent.chmod(0o755)


def test_a_read_only_file_with_what_a_killed_writer_left_says_so(path: Path) -> None:
    subprocess.run([sys.executable, "-c", killed_writer.CODE, path], timeout=60)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        assert "An interrupted write must be rolled back" in _read_as_who_may_not_write(path)
    finally:
        path.parent.chmod(0o755)


def test_a_search_that_takes_long_says_how_far_it_came(path: Path) -> None:
    store = _store(path, seconds=-1.0)
    found = store.runs(RunFilter(state="FAILED"), None)
    assert found.rows == () and found.after is not None and found.searched_to is not None
    assert store.runs(RunFilter(state="FAILED"), None, after=found.after).after is None


def test_threads_read_the_same(path: Path) -> None:
    store, answers = _store(path), []

    def read() -> None:
        for _ in range(5):
            runs = store.runs(RunFilter(), None).rows
            answers.append((runs, tuple(store.run_details(runs)), store.types(None)["artifact"]))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 40 and all(answer == answers[0] for answer in answers)


@pytest.fixture(scope="module", params=["mysql", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Server]:
    """A running server whose database is empty."""
    start = servers.mariadb if request.param == "mysql" else servers.postgresql
    with start(tmp_path_factory.mktemp("server") / "files") as running:
        yield running


def test_a_server_says_what_is_wrong_and_never_its_password(
    server: servers.Server, caplog: pytest.LogCaptureFixture
) -> None:
    address = server.address
    stopped = Store(make_engine(url({**address, "port": 1})))
    assert _said(stopped).startswith("The store's server cannot be reached")
    other = _said(Store(make_engine(url({**address, "database": "another"}))))
    # MariaDB tells whether there is such a database only to users who may use it.
    assert other.startswith(
        "The store's server has no such database"
        if server.kind == "postgresql"
        else "The store's server rejected the user name or password, or the user may not read"
    )
    wrong = Store(make_engine(url({**address, "password": "another-w0rd"})))
    assert _said(wrong).startswith("The store's server rejected the user name or password")
    assert _said(Store(make_engine(url(address)))).startswith("The store has no ML Metadata schema yet")
    assert server.password not in caplog.text and "another-w0rd" not in caplog.text
    assert "127.0.0.1" in caplog.text


def test_a_user_who_may_only_read_is_enough(server: servers.Server) -> None:
    server.clear()
    written(server.address, "tasks")
    if server.kind == "postgresql":
        server.rows(f"grant usage on schema public to {server.reader}")
        server.rows(f"grant select on all tables in schema public to {server.reader}")
    store = Store(make_engine(url({**server.address, "user": server.reader})))
    assert len(store.runs(RunFilter(), None).rows) == 4
    server.clear()


def test_a_server_that_restarts_is_found_again(server: servers.Server) -> None:
    written(server.address, "tasks")
    store = Store(make_engine(url(server.address)))
    assert len(store.runs(RunFilter(), None).rows) == 4
    server.stop()
    assert _said(store).startswith("The store's server cannot be reached")
    server.start()
    assert len(store.runs(RunFilter(), None).rows) == 4


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "oracle://u:se-cret@h/d",
        "sqlite://",
        "sqlite:///file:x?mode=rwc",
        "sqlite:///:memory:",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make_engine(address)
    assert "looks like" in str(caught.value) and "se-cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("taxi:scheduled__2026-01-31T12:00:00+00:00", ("taxi", "scheduled__2026-01-31T12:00:00+00:00")),
        ("a.b-c:x", ("a.b-c", "x")),
        ("2026-01-31T12:00:00.123456", ("", "2026-01-31T12:00:00.123456")),
        ("2026-01-31T12:00:00", ("", "2026-01-31T12:00:00")),
        ("a run of mine: the first", ("", "a run of mine: the first")),
        ("plain", ("", "plain")),
    ],
)
def test_names_of_runs_say_their_dag(name: str, expected: tuple[str, str]) -> None:
    assert dag_and_run_id(name) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("", "NEW"),
        ("A=COMPLETE B=CACHED", "COMPLETE"),
        ("A=FAILED A=COMPLETE", "COMPLETE"),
        ("A=COMPLETE A=FAILED B=COMPLETE", "FAILED"),
        ("A=FAILED B=RUNNING", "RUNNING"),
        ("A=NEW", "RUNNING"),
        ("A=CANCELED B=COMPLETE", "CANCELED"),
        ("A=UNKNOWN B=COMPLETE", "UNKNOWN"),
        ("A=UNKNOWN B=FAILED", "FAILED"),
    ],
)
def test_newest_executions_of_nodes_decide_the_state_of_a_run(states: str, expected: str) -> None:
    made = [one.split("=") for one in states.split()]
    executions = [Execution(i, "t", node, state, 0, 0, None, None) for i, (node, state) in enumerate(made)]
    assert run_state(executions[::-1]) == expected


def test_filters_that_mean_nothing_are_refused() -> None:
    for make in (
        lambda: RunFilter(state="CACHED"),
        lambda: ExecutionFilter(state="LIVE"),
        lambda: ArtifactFilter(state="nothing"),
        lambda: PropertyFilter("span", "==", "1"),
        lambda: PropertyFilter("", "=", "1"),
    ):
        with pytest.raises(BadQuery):
            make()
    assert dataclasses.replace(RunFilter(), state="FAILED").state == "FAILED"
