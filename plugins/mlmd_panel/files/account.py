"""An Airflow Connection as options of fsspec's drivers; knows only the Connection's fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol


class Connection(Protocol):
    """What is read of one."""

    conn_type: Any
    login: Any
    password: Any

    @property
    def extra_dejson(self) -> Mapping[str, Any]:
        """Its extra."""


def driver_options(connection: Connection | None, protocol: str) -> dict[str, Any]:
    """Options of a protocol's driver; {} for what the driver finds itself, in the environment or the machine's role.

    Args:
      connection: Of type `aws` for `s3`, of type `google_cloud_platform` for `gs`; of other types it says nothing.
      protocol: Such as `s3`.
    """
    kind = (connection.conn_type or "").lower() if connection else ""
    options: dict[str, Any] = {}
    if connection and protocol == "s3" and kind == "aws":
        extra = connection.extra_dejson
        if connection.login:
            options |= {"key": connection.login, "secret": connection.password or ""}
        if extra.get("aws_session_token"):
            options["token"] = extra["aws_session_token"]
        client = {name: extra[name] for name in ("endpoint_url", "region_name") if extra.get(name)}
        if client:
            options["client_kwargs"] = client
    elif connection and protocol == "gs" and kind == "google_cloud_platform":
        account = connection.extra_dejson.get("keyfile_dict")
        account = json.loads(account) if isinstance(account, str) else account
        if token := account or connection.extra_dejson.get("key_path"):
            options["token"] = token
    return options
