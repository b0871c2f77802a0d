"""Stores for the panel's tests, written by ml_metadata in the TFX interpreter."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.engine import URL

from tests.panel import tfx_child

DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg2"}


def written(address: dict[str, Any], *what: str, module: str = "official_store") -> dict[str, Any]:
    """Writes into a store, made where there is none; returns what ml_metadata then reads of all of it.

    Args:
      address: As the TFX side knows it.
      what: Names in the module.
      module: In tests/panel, such as `official_store`.
    """
    printed = tfx_child.run(module, *what, text=json.dumps(address))
    return json.loads(printed.splitlines()[-1])


def url(address: dict[str, Any]) -> URL:
    """The address as SQLAlchemy knows it."""
    if address["kind"] == "sqlite":
        return URL.create("sqlite", database=address["path"])
    return URL.create(
        DRIVERS[address["kind"]],
        address["user"],
        address["password"],
        address["host"],
        address["port"],
        address["database"],
    )
