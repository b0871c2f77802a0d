"""An Airflow Connection as options of the drivers of object stores."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.models import Connection
from mlmd_panel.files.account import driver_options


def _connection(conn_type: str, login: str = "", **extra: Any) -> Connection:
    return Connection(
        conn_id="c", conn_type=conn_type, login=login, password="secret", extra=json.dumps(extra)
    )


_KEY = {"type": "service_account"}


@pytest.mark.parametrize(
    ("connection", "protocol", "options"),
    [
        (None, "s3", {}),
        (_connection("aws"), "s3", {}),  # the machine's role
        (_connection("aws", "key"), "s3", {"key": "key", "secret": "secret"}),
        (_connection("aws", "key"), "gs", {}),
        (_connection("http", "key"), "s3", {}),
        (
            _connection("aws", "key", aws_session_token="t", endpoint_url="http://s3", region_name="eu"),
            "s3",
            {
                "key": "key",
                "secret": "secret",
                "token": "t",
                "client_kwargs": {"endpoint_url": "http://s3", "region_name": "eu"},
            },
        ),
        (_connection("google_cloud_platform", keyfile_dict=json.dumps(_KEY)), "gs", {"token": _KEY}),
        (_connection("google_cloud_platform", keyfile_dict=_KEY), "gs", {"token": _KEY}),
        (_connection("google_cloud_platform", key_path="/key.json"), "gs", {"token": "/key.json"}),
    ],
)
def test_a_connection_gives_options_to_the_driver_that_it_is_for(
    connection: Connection | None, protocol: str, options: dict[str, Any]
) -> None:
    assert driver_options(connection, protocol) == options
