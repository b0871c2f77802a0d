"""The store's address from Airflow Connections in the environment."""

from __future__ import annotations

import dataclasses
import json
import traceback

import pytest

from include.tfx_airflow.airflow_side import mlmd_connection
from include.tfx_airflow.contract.errors import MlmdConnectionError, MlmdError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.settings import Settings

SETTINGS = Settings(home="/srv/tfx", mlmd_conn_id="store")


def _connect(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", text)


def test_where_no_connection_is_named_it_is_sqlite_in_home() -> None:
    assert mlmd_connection.address(Settings(home="/srv/tfx")) == {
        "kind": "sqlite",
        "path": "/srv/tfx/mlmd/metadata.db",
    }


def test_a_connection_that_is_named_and_not_there_is_no_new_store_and_may_be_there_later() -> None:
    with pytest.raises(MlmdConnectionError) as caught:
        mlmd_connection.address(SETTINGS)
    for part in (
        "Connection 'store'",
        "[tfx_airflow] mlmd_conn_id",
        "cannot be read now",
        "connections get store",
    ):
        assert part in str(caught.value)


def test_a_connection_that_cannot_be_parsed_is_no_new_store_and_its_text_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _connect(monkeypatch, '{"conn_type": "mysql", "password": "a-password"')
    with pytest.raises(MlmdConnectionError) as caught:
        mlmd_connection.address(SETTINGS)
    assert "a-password" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", ["mysql://tfx@db.example/mlmd", "{not json"], ids=["whole", "broken"])
def test_the_connection_of_earlier_versions_is_never_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLMD_DEFAULT", text)
    with pytest.raises(MlmdError, match="mlmd_conn_id = mlmd_default .* or delete the Connection") as caught:
        mlmd_connection.address(Settings(home="/srv/tfx"))
    assert not isinstance(caught.value, MlmdConnectionError)  # a retry cannot help
    # Whoever has named a store is not asked.
    _connect(monkeypatch, "sqlite:////srv/metadata.db")
    assert mlmd_connection.address(SETTINGS)["path"] == "/srv/metadata.db"


def test_mysql(monkeypatch: pytest.MonkeyPatch) -> None:
    _connect(monkeypatch, "mysql://tfx:sec%2Fret@db.example:3307/mlmd")
    assert mlmd_connection.address(SETTINGS) == {
        "kind": "mysql",
        "host": "db.example",
        "port": 3307,
        "database": "mlmd",
        "user": "tfx",
        "password": "sec/ret",
        "ssl": {},
    }


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgres_without_port_and_password(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    _connect(monkeypatch, f"{scheme}://tfx@db.example/mlmd")
    address = mlmd_connection.address(SETTINGS)
    assert address["kind"] == "postgresql"
    assert (address["host"], address["port"], address["database"]) == ("db.example", None, "mlmd")
    assert (address["user"], address["password"]) == ("tfx", "")


def test_ssl_options_of_the_extra_are_kept_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "conn_type": "Postgres",
        "host": "db",
        "schema": "mlmd",
        "login": "tfx",
        "password": "a-password",
        "extra": {"sslmode": "require", "cursor": "dictcursor"},
    }
    _connect(monkeypatch, json.dumps(connection))
    assert mlmd_connection.address(SETTINGS)["ssl"] == {"sslmode": "require"}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:////srv/metadata.db", "/srv/metadata.db"),
        ('{"conn_type": "sqlite", "host": "/srv/metadata.db"}', "/srv/metadata.db"),
    ],
    ids=["uri", "json"],
)
def test_sqlite(monkeypatch: pytest.MonkeyPatch, text: str, path: str) -> None:
    _connect(monkeypatch, text)
    assert mlmd_connection.address(SETTINGS) == {"kind": "sqlite", "path": path}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://db.example/mlmd", ["'http'", "mysql", "postgres", "sqlite"]),
        ('{"conn_type": "mysql", "schema": "mlmd"}', ["mysql", "no host"]),
        ("postgres://tfx@db.example", ["postgresql", "no schema"]),
        ("sqlite://", ["has no file path", "sqlite:////"]),
        ("sqlite:///metadata.db", ["the relative path 'metadata.db'", "sqlite:////absolute", "four slashes"]),
        ('{"conn_type": "sqlite", "host": "srv/metadata.db"}', ["the relative path 'srv/metadata.db'"]),
        (
            '{"conn_type": "mysql", "host": "db", "schema": "m", "extra": {"ssl": {"ca": "/ca.pem"}}}',
            ["(mysql) has ['ssl'] in its extra", "there may be ['key', 'cert', 'ca',"],
        ),
        ("postgres://tfx@db/m?ssl_mode=require", ["has ['ssl_mode'] in its extra", "'sslmode'"]),
    ],
    ids=["wrong-type", "no-host", "no-schema", "no-file", "relative", "relative-json", "ssl", "misspelt-ssl"],
)
def test_a_connection_that_names_no_store_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, parts: list[str]
) -> None:
    _connect(monkeypatch, text)
    with pytest.raises(MlmdError) as caught:
        mlmd_connection.address(SETTINGS)
    for part in ["Connection 'store'", *parts]:
        assert part in str(caught.value)


def test_password_is_in_the_request_but_not_in_its_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    _connect(monkeypatch, "mysql://tfx:a-password@db.example/mlmd")
    request = NodeRequest(
        ir="/srv/pipeline.json",
        node_id="Gen",
        run="dag:run",
        task={},
        parameters={},
        mlmd=mlmd_connection.address(SETTINGS),
        roots={},
    )
    assert request.mlmd["password"] == "a-password"
    assert "a-password" in request.to_json()
    assert "a-password" not in repr(request)
    assert "a-password" not in repr(dataclasses.replace(request, node_id="Other"))
