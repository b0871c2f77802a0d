"""Settings of the panel, and the store's address from a Connection, a setting or a file."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.models import Connection
from mlmd_panel.errors import SettingsError
from mlmd_panel.settings import Settings, read_settings
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine

from tests.bundle import ROOT
from tests.panel.airflow_home import airflow_environment


def _connection(text: str) -> Connection:
    return Connection.from_json(text, "store") if text.startswith("{") else Connection("store", uri=text)


def test_settings_have_help_and_defaults() -> None:
    for field in dataclasses.fields(Settings):
        assert field.metadata["help"].endswith("."), field.name
    assert read_settings(lambda name: None) == Settings()


def test_settings_are_read_with_their_types() -> None:
    given = {"max_bytes": "1000", "title": "Models", "mlmd": "sqlite:///x"}
    settings = read_settings(given.get)
    assert (settings.max_bytes, settings.title, settings.mlmd) == (1000, "Models", "sqlite:///x")
    assert "sqlite" not in repr(settings)


@pytest.mark.parametrize("text", ["many", "0", "-1", "1e3", "1" * 16])
def test_a_size_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(SettingsError, match=r"\[mlmd_panel\] max_bytes = .* positive whole number"):
        read_settings({"max_bytes": text}.get)


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("", ()),
        ("/srv/a:/srv/b", ("/srv/a", "/srv/b")),
        ("/srv/a, s3://bucket/b ,gs://c", ("/srv/a", "s3://bucket/b", "gs://c")),
        ("s3://bucket/b:/srv/a:", ("s3://bucket/b", "/srv/a")),
    ],
)
def test_roots_are_separated_by_commas_and_colons(text: str, roots: tuple[str, ...]) -> None:
    assert Settings(roots=text).root_list() == roots


def test_connection_of_mysql() -> None:
    url = address.of_connection(_connection("mysql://tfx:sec%2Fret@db.example:3307/mlmd"))
    assert url.render_as_string(hide_password=False) == "mysql://tfx:sec%2Fret@db.example:3307/mlmd"
    assert "sec" not in str(url)


def test_connection_of_postgresql_without_port_and_password() -> None:
    for scheme in ("postgres", "postgresql"):
        url = address.of_connection(_connection(f"{scheme}://tfx@db.example/mlmd"))
        assert url.render_as_string(hide_password=False) == "postgresql://tfx@db.example/mlmd"


def test_connection_of_sqlite() -> None:
    url = address.of_connection(_connection("sqlite:////srv/mlmd/metadata.db"))
    assert (url.drivername, url.database) == ("sqlite", "/srv/mlmd/metadata.db")


@pytest.mark.parametrize(
    ("kind", "extra", "query"),
    [
        ("postgres", {"sslmode": "require", "cursor": "dictcursor"}, {"sslmode": "require"}),
        ("postgres", {"sslrootcert": "/ca", "sslkey": "/k"}, {"sslrootcert": "/ca", "sslkey": "/k"}),
        ("mysql", {"ca": "/ca", "charset": "utf8"}, {"ssl_ca": "/ca", "ssl_check_hostname": "false"}),
        (
            "mysql",
            {"ca": "/ca", "verify_server_cert": True},
            {"ssl_ca": "/ca", "ssl_check_hostname": "true"},
        ),
        ("mysql", {}, {}),
    ],
)
def test_ssl_options_of_the_extra_are_the_orchestrators(
    kind: str, extra: dict[str, object], query: dict[str, str]
) -> None:
    fields = {"conn_type": kind, "host": "db", "schema": "mlmd", "login": "tfx", "extra": extra}
    assert address.of_connection(_connection(json.dumps(fields))).query == query


def test_ssl_options_of_mysql_reach_the_driver() -> None:
    fields = {"conn_type": "mysql", "host": "db", "schema": "mlmd", "login": "tfx", "extra": {"ca": "/ca"}}
    url = address.of_connection(_connection(json.dumps(fields)))
    engine = make_engine(url)
    _, arguments = engine.dialect.create_connect_args(engine.url)
    assert arguments["ssl"] == {"ca": "/ca", "check_hostname": False}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"conn_type": "http", "host": "db"}, "has type 'http'; it must be mysql, postgres or sqlite"),
        ({"conn_type": "sqlite"}, "has no file path"),
        ({"conn_type": "mysql", "host": "db"}, "has no schema; set it to the name of the database"),
        ({"conn_type": "postgres", "schema": "mlmd"}, "has no host; set it to the database server"),
    ],
)
def test_a_connection_that_names_no_store_is_an_error(fields: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=f"Connection 'store'.*{told}"):
        address.of_connection(_connection(json.dumps({**fields, "password": "hidden"})))


@pytest.mark.parametrize("text", ["hidden", "mysql://u:hidden@h:port/d"])
def test_what_is_no_address_is_an_error_that_shows_no_password(text: str) -> None:
    with pytest.raises(SettingsError, match="sqlite:////srv") as caught:
        address.of_text(text)
    assert "hidden" not in str(caught.value)


_STORE_URLS = """
import json, os, sys
from mlmd_panel.airflow3 import store_url
from mlmd_panel.errors import SettingsError
from mlmd_panel.settings import Settings
for of_the_panel, environment in json.load(sys.stdin):
    if not os.fork():  # Airflow takes long to import, and one case must know nothing of another
        os.environ.update(environment)
        try:
            found = str(store_url(Settings(mlmd_conn_id=of_the_panel)))
        except SettingsError as error:
            found = str(error)
        print("RESULT" + json.dumps(found), flush=True)
        os._exit(0)
    os.wait()
"""


def _store_urls(folder: Path, *cases: tuple[str, dict[str, str]]) -> list[str]:
    """What the panel inside an Airflow takes for its store, by its own Connection's name and the environment."""
    done = subprocess.run(
        [sys.executable, "-c", _STORE_URLS],
        env={**airflow_environment(folder), "PYTHONPATH": f"{ROOT}:{ROOT}/plugins"},
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = [line.partition("RESULT") for line in done.stdout.splitlines()]
    found = [json.loads(text) for _, mark, text in lines if mark]
    assert len(found) == len(cases), done.stderr
    return found


def test_in_airflow_the_store_is_the_one_that_the_settings_name_and_no_other(tmp_path: Path) -> None:
    orchestrator = "AIRFLOW__TFX_AIRFLOW__MLMD_CONN_ID"
    there = {"AIRFLOW_CONN_STORE": "mysql://u:hidden@h/m"}
    of_none, of_the_orchestrator, of_the_panel, *of_missing, former = _store_urls(
        tmp_path,
        ("", {}),
        ("", {**there, orchestrator: "store"}),
        ("store", {**there, orchestrator: "other"}),
        ("", {orchestrator: "store"}),
        ("store", {orchestrator: ""}),
        ("store", {orchestrator: "other"}),
        ("", {"AIRFLOW_CONN_MLMD_DEFAULT": "mysql://u:hidden@h/m"}),
    )
    assert of_none == f"sqlite:///{tmp_path}/home/tfx/mlmd/metadata.db"
    assert of_the_orchestrator == of_the_panel == "mysql://u:***@h/m"
    for said in of_missing:
        assert "Connection 'store' of the ML Metadata store does not exist or cannot be read" in said
    assert len(of_missing) == 3
    assert "[tfx_airflow] mlmd_conn_id = mlmd_default" in former and "hidden" not in former
