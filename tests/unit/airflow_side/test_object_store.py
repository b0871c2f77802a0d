"""What a DAG that names an object store needs is checked at parse; credentials reach only a process's environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.tfx_airflow.airflow_side import object_store
from include.tfx_airflow.airflow_side.span_sensor import SpanSensor
from include.tfx_airflow.contract.errors import ConfigError, ObjectStoreError
from include.tfx_airflow.settings import Settings


def _settings(tmp_path: Path, drivers: tuple[str, ...] = ("s3fs",), connection: str = "store") -> Settings:
    for name in drivers:
        (tmp_path / "lib/python3.10/site-packages" / name).mkdir(parents=True)
    python = str(tmp_path / "bin/python")
    return Settings(python=python, object_store_conn_id=connection, home="/h")


def _connect(monkeypatch: pytest.MonkeyPatch, conn_type: str, login: str = "", **extra: object) -> None:
    found = {"conn_type": conn_type, "login": login, "password": "s3cret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(found))


def test_paths_need_nothing(tmp_path: Path) -> None:
    object_store.check({"pipeline_root": "/srv/x", "schema_file": ""}, _settings(tmp_path, (), ""))


@pytest.mark.parametrize(
    ("address", "drivers", "connection", "told"),
    [
        ("s3://bucket/x", (), "store", "run 'make setup EXTRAS=s3'"),
        ("gs://bucket/x", ("s3fs",), "store", "run 'make setup EXTRAS=gs'"),
        ("s3://bucket/x", ("s3fs",), "", "names no Connection; create one of type 'aws'"),
        ("s3://key:s3cret@bucket/x", ("s3fs",), "store", "credentials belong in the Connection"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    address: str, drivers: tuple[str, ...], connection: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        object_store.check({"pipeline_root": address}, _settings(tmp_path, drivers, connection))
    assert "pipeline_root" in str(caught.value) and told in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_machine_without_tfx_takes_the_drivers_on_trust() -> None:
    object_store.check({"pipeline_root": "s3://bucket/x"}, Settings(object_store_conn_id="store"))


def test_a_sensor_on_an_object_store_needs_a_connection() -> None:
    with pytest.raises(
        ConfigError, match=r"root of 'wait' is 's3://bucket/spans', and .* names no Connection"
    ):
        SpanSensor(task_id="wait", root="s3://bucket/spans")


def test_a_connection_of_aws_becomes_the_variables_that_its_libraries_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _connect(monkeypatch, "aws", "key", endpoint_url="http://store:9000", region_name="eu-west-1")
    settings = _settings(tmp_path)
    assert object_store.environment(settings) == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_ENDPOINT_URL": "http://store:9000",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    access = object_store.access(settings)
    assert (access["staging"], access["staging_bytes"]) == ("/h/staging", 20 << 30)
    options = object_store.driver_options(settings)
    assert options["client_kwargs"] == {"endpoint_url": "http://store:9000", "region_name": "eu-west-1"}


def test_without_a_login_the_machine_has_the_role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _connect(monkeypatch, "aws")
    assert object_store.environment(_settings(tmp_path)) == {}


def test_a_connection_of_google_names_a_key_or_holds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _connect(monkeypatch, "google_cloud_platform", key_path="/etc/key.json")
    assert object_store.environment(_settings(tmp_path)) == {
        "GOOGLE_APPLICATION_CREDENTIALS": "/etc/key.json"
    }
    _connect(monkeypatch, "google_cloud_platform", keyfile_dict={"type": "service_account"})
    assert object_store.driver_options(_settings(tmp_path, ("gcsfs",))) == {
        "token": {"type": "service_account"}
    }


@pytest.mark.parametrize(
    ("conn_type", "extra", "told"),
    [
        ("aws", {"role_arn": "arn:aws:iam::1:role/x"}, "'role_arn'"),
        ("http", {}, "has type 'http'; it must be one of ['aws', 'google_cloud_platform']"),
    ],
)
def test_a_connection_that_is_not_understood_is_refused(
    conn_type: str, extra: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _connect(monkeypatch, conn_type, "key", **extra)
    with pytest.raises(ObjectStoreError) as caught:
        object_store.environment(_settings(tmp_path))
    assert told in str(caught.value) and "s3cret" not in str(caught.value)


def test_a_connection_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ObjectStoreError, match="Connection 'nobody'.* does not exist or cannot be read"):
        object_store.environment(_settings(tmp_path, connection="nobody"))
