"""The panel in a running Airflow, below a prefix: its tabs, links and guard, and stores that cannot be read."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.commands import up
from tests.bundle import ROOT, Bundle, made
from tests.scheduler import Scheduler
from tests.server import wait_until

DAG, RUN_ID = "panel_dag", "manual__2014-01-01T00:00:00+00:00"


class Panel:
    """Client of the panel as the UI's frames see it."""

    def __init__(self, airflow: Scheduler, token: str):
        """Takes the Airflow that it is in."""
        self.airflow = airflow
        self.token = token

    def get(self, path: str, token: bool = True, accept: str = "text/html") -> tuple[int, str, str]:
        """Status, text and the address after redirects."""
        address = path if path.startswith("http") else f"{self.airflow.url}/mlmd{path}"
        headers = {"Accept": accept, **({"Authorization": f"Bearer {self.token}"} if token else {})}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(address, headers=headers), timeout=30
            ) as answer:
                return answer.status, answer.read().decode(), answer.url
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), address

    def trouble(self) -> str:
        """The sentence with which a page of rows is refused; the page is asked for as HTML too."""
        for path in ("/runs", "/pipelines", f"/?dag_id={DAG}&run_id=a"):
            status, text, _ = self.get(path)
            assert status == 503 and "Traceback" not in text, (path, status, text)
        status, text, _ = self.get("/runs.json")
        assert status == 503 and json.loads(text)["headline"] == "The ML Metadata store cannot be read"
        return json.loads(text)["error"]


@contextlib.contextmanager
def _standalone(bundle: Bundle) -> Iterator[Scheduler]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://localhost:{port}/pre"
    environment = {
        **bundle.environment,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
    }
    log = bundle.folder / "standalone.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            ["airflow", "standalone"],
            env=environment,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def healthy() -> bool:
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(f"{url}/api/v2/monitor/health", timeout=5) as answer:
                health = json.load(answer)
            return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))
        return False

    try:
        wait_until(healthy, 120, "Airflow to be healthy", 0.5)
        [(user, password)] = json.loads(
            (bundle.home / "simple_auth_manager_passwords.json.generated").read_text()
        ).items()
        yield Scheduler(url, user, password)
    finally:
        up.stop(process)
        print(log.read_text(errors="replace"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """An Airflow of its own: the tests begin where no node has run, so that there is no store."""
    with made(tmp_path_factory.mktemp("panel")) as bundle:
        bundle.write_dag(DAG, "tests.pipelines.small:write_and_read", name=DAG)
        yield bundle


@pytest.fixture(scope="module")
def panel(home: Bundle) -> Iterator[Panel]:
    """The panel of a running Airflow."""
    with _standalone(home) as airflow:
        yield Panel(airflow, airflow._token)


def test_the_plugin_is_loaded_and_its_tabs_are_listed(panel: Panel) -> None:
    assert panel.airflow.call("GET", "/api/v2/plugins/importErrors")["import_errors"] == []
    plugins = panel.airflow.call("GET", "/api/v2/plugins")["plugins"]
    [tfx] = [plugin for plugin in plugins if plugin["name"] == "tfx"]
    assert {view["destination"] for view in tfx["external_views"]} == {
        "nav",
        "dag",
        "dag_run",
        "task",
        "task_instance",
    }
    assert [plugin["name"] for plugin in plugins if "plugins" in plugin["source"].lower()] == ["tfx"]


def test_without_a_login_nothing_is_shown(panel: Panel) -> None:
    for path in ("/", "/runs", "/runs.json", "/static/panel.css", "/api.json", "/nowhere"):
        assert panel.get(path, token=False)[0] == 401, path


def test_a_store_that_cannot_be_read_is_a_sentence(home: Bundle, panel: Panel, tmp_path: Path) -> None:
    path = home.mlmd
    assert not path.exists()
    absent = panel.trouble()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    empty = panel.trouble()
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as store:
        store.execute("create table MLMDEnv (schema_version integer primary key)")
        store.execute("insert into MLMDEnv values (9)")
        store.commit()
    other = panel.trouble()
    path.unlink()
    assert len({absent, empty, other}) == 3 and "9" in other and "10" in other
    for sentence in (absent, empty, other):
        assert str(home.home) not in sentence
    assert panel.get("/static/panel.css")[0] == 200


def test_a_task_leads_to_what_it_made(home: Bundle, panel: Panel) -> None:
    airflow = panel.airflow
    airflow.wait_for_dag(DAG)
    airflow.trigger(DAG, RUN_ID)
    assert airflow.wait_for_run(DAG, RUN_ID, 120) == "success"
    run = f"/api/v2/dags/{DAG}/dagRuns/{urllib.parse.quote(RUN_ID, safe='')}"
    links = airflow.call("GET", f"{run}/taskInstances/Write/links")["extra_links"]
    quoted = urllib.parse.quote(RUN_ID, safe="")
    query = f"dag_id={DAG}&run_id={quoted}&task_id=Write&map_index=-1"
    assert links == {"Artifacts": f"{airflow.url}/mlmd/?{query}"}
    assert f"In the panel: {links['Artifacts']}" in airflow.log(DAG, RUN_ID, "Write")

    [write, _] = home.executions(DAG)
    status, text, address = panel.get(links["Artifacts"])
    assert status == 200 and address.endswith("/nodes/Write")
    assert (
        address.startswith(f"{airflow.url}/mlmd/runs/")
        and f"/pre/dags/{DAG}/runs/{quoted}/tasks/Write" in text
    )
    # The tab of a task that is not mapped: the UI leaves the placeholder as it is.
    tab = links["Artifacts"].replace("map_index=-1", urllib.parse.quote("map_index={MAP_INDEX}", safe="="))
    assert panel.get(tab)[2] == address
    rows = json.loads(panel.get("/artifacts.json")[1])
    assert write.uri("text") in json.dumps(rows)


def test_a_store_that_is_locked_is_a_sentence_and_no_more_when_it_is_free(home: Bundle, panel: Panel) -> None:
    with contextlib.closing(sqlite3.connect(home.mlmd, isolation_level=None)) as writer:
        writer.execute("begin exclusive")
        status, text, _ = panel.get("/runs.json")
        assert status == 503, text
        assert json.loads(text)["headline"] == "The ML Metadata store cannot be read"
        writer.execute("rollback")
    assert panel.get("/runs.json")[0] == 200


def test_a_connection_that_nobody_names_is_found_and_not_passed_over(home: Bundle, panel: Panel) -> None:
    connection: dict[str, Any] = {
        "connection_id": "mlmd_default",
        "conn_type": "mysql",
        "host": "127.0.0.1",
        "port": 1,
        "schema": "mlmd",
        "login": "tfx",
        "password": "hidden-password",
    }
    panel.airflow.call("POST", "/api/v2/connections", connection)
    wait_until(lambda: panel.get("/runs.json")[0] == 503, 40, "the new Connection to be found", 1)
    told = json.loads(panel.get("/runs.json")[1])["error"]
    assert "Connection 'mlmd_default' exists" in told and "mlmd_conn_id = mlmd_default" in told
    assert "hidden-password" not in panel.get("/runs")[1]
    # A task does not go on with the embedded store either, and a retry cannot help.
    run_id = panel.airflow.trigger(DAG)
    assert panel.airflow.wait_for_run(DAG, run_id, 120) == "failed"
    assert "Connection 'mlmd_default' exists" in panel.airflow.log(DAG, run_id, "Write")
    assert home.executions(DAG, run_id) == []
    panel.airflow.call("DELETE", "/api/v2/connections/mlmd_default")
    wait_until(lambda: panel.get("/runs.json")[0] == 200, 40, "SQLite to be used again", 1)
