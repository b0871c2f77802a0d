"""A runner's Connection: what it must have, and what it gives."""

from __future__ import annotations

import json

import pytest

from include.tfx_airflow.airflow_side import beam_connection
from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import BeamConnectionError, ConfigError
from include.tfx_airflow.settings import Settings


def _target(monkeypatch: pytest.MonkeyPatch, **connection: object) -> BeamTarget:
    if connection:
        value = {"conn_type": "generic", **connection}
        monkeypatch.setenv("AIRFLOW_CONN_BEAM_FLINK", json.dumps(value))
    settings = Settings(home="/srv/tfx")
    return beam_connection.target("flink", "beam_runner of 'Transform'", "tfx-x-try1", settings)


def test_addresses_and_tokens_are_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {
        "worker_pool": "localhost:50000",
        "worker_pool_token": "p",
        "ui": "http://flink:8081/",
        "tls": True,
    }
    target = _target(monkeypatch, host="jobs", port=8099, password="t", extra=extra)
    assert (target.job_endpoint, target.token, target.tls) == ("jobs:8099", "t", True)
    assert (target.worker_pool, target.worker_pool_token) == ("localhost:50000", "p")
    assert (target.ui, target.home, target.job_name) == ("http://flink:8081", "/srv/tfx", "tfx-x-try1")
    assert target.of.kind == "flink"


@pytest.mark.parametrize(("tls", "encrypted"), [("True", True), ("1", True), ("false", False), ("0", False)])
def test_a_connection_in_a_uri_says_whether_to_encrypt_as_text(
    monkeypatch: pytest.MonkeyPatch, tls: str, encrypted: bool
) -> None:
    uri = f"generic://:token@jobs:8099?ui=http%3A%2F%2Fflink&worker_pool=p%3A1&tls={tls}"
    monkeypatch.setenv("AIRFLOW_CONN_BEAM_FLINK", uri)
    assert _target(monkeypatch).tls is encrypted


def test_a_runner_of_this_machine_needs_no_connection() -> None:
    target = beam_connection.target("in_memory", "x", "", Settings(home="/srv"))
    assert target.job_endpoint == "" and target.of.kind == "in_memory"


def test_a_connection_that_is_not_there_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BeamConnectionError, match="Connection 'beam_flink' of Beam runner 'flink' does not exist"
    ):
        _target(monkeypatch)


@pytest.mark.parametrize(
    ("connection", "why"),
    [
        ({"host": "jobs"}, "needs host and port of the job server"),
        ({"host": "jobs", "port": 1, "extra": {"worker_pool": "p:1"}}, "needs 'ui' in its extra"),
        ({"host": "jobs", "port": 1, "extra": {"ui": "http://f"}}, "needs 'worker_pool' in its extra"),
        (
            {"host": "jobs", "port": 1, "extra": {"ui": "u", "worker_pool": "p:1", "tls": "yes please"}},
            "'tls' in the extra of Connection 'beam_flink' of Beam runner 'flink' is 'yes please'; it must be true or",
        ),
        ({"host": "jobs", "port": 1, "extra": {"worker_pol": "x"}}, r"has \['worker_pol'\] in its extra"),
    ],
)
def test_a_connection_that_lacks_something_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, object], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        _target(monkeypatch, **connection)


@pytest.mark.parametrize(
    ("ui", "why"),
    [
        ("http://admin:s3cret@flink:8081", "has a user or a password in it"),
        ("https://s3cret@flink", "has a user or a password in it"),
        ("http://admin:s3cret@flink:port", "is not an address such as http://flink"),
        ("flink:8081", "is not an address such as http://flink"),
        ("ftp://flink", "is not an address such as http://flink"),
    ],
)
def test_an_address_that_logs_must_not_show_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, ui: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=f"'ui' in the extra of Connection 'beam_flink'.* {why}") as caught:
        _target(monkeypatch, host="jobs", port=1, extra={"ui": ui, "worker_pool": "p:1"})
    assert "s3cret" not in str(caught.value)
