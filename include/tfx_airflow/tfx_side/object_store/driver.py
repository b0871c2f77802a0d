"""fsspec's driver of an object store, with errors that name the object and the cure.

Drivers are imported when an address is first used: never by the node server, whose children fork.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import importlib.util
import json
import os
from collections.abc import Iterator
from typing import Any

from include.tfx_airflow.contract.errors import ObjectStoreError
from include.tfx_airflow.contract.object_store import DRIVERS, GOOGLE_ACCOUNT, S3_LIMITS, scheme


def installed() -> list[str]:
    """Schemes whose driver this interpreter has."""
    return [name for name, package in DRIVERS.items() if importlib.util.find_spec(package)]


def of(address: str) -> Any:
    """The fsspec file system of an address.

    Raises:
      ObjectStoreError: Its driver is not installed.
    """
    name = scheme(address)
    if name not in installed():
        raise ObjectStoreError(
            f"{address!r} needs the package {DRIVERS[name]} in the TFX interpreter: run 'make setup EXTRAS={name}'."
        )
    with answered(address):
        return _file_system(name)


@functools.lru_cache
def _file_system(name: str) -> Any:
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False}
    if name == "s3":
        options["config_kwargs"] = S3_LIMITS
    elif account := os.environ.get(GOOGLE_ACCOUNT):
        options["token"] = json.loads(account)
    found = fsspec.filesystem(name, **options)
    if name == "s3":
        found.retries = 1  # its own, on top of the client's
    return found


@contextlib.contextmanager
def answered(address: str) -> Iterator[None]:
    """Turns a driver's error into one that names the address.

    Raises:
      FileNotFoundError: There is nothing.
      ObjectStoreError: Anything else.
    """
    try:
        yield
    except (FileNotFoundError, ObjectStoreError):
        raise
    except Exception as error:
        kind = type(error).__name__
        refused = isinstance(error, PermissionError) or "Credentials" in kind
        cure = (
            "check the Connection that [tfx_airflow] object_store_conn_id names, and what its account may do"
            if refused
            else "when the object store answers again, run the task again"
        )
        raise ObjectStoreError(f"{address!r} cannot be used: {kind}: {error}; {cure}.") from error


def files(address: str) -> dict[str, dict[str, Any]]:
    """All objects below an address, or the object at it.

    Returns:
      What the driver says, by the name below the address; of the object itself the name is "".

    Raises:
      ObjectStoreError: The store does not answer, or refuses.
    """
    driver = of(address)
    base = driver._strip_protocol(address)
    try:
        with answered(address):
            found = driver.find(address, detail=True)
    except FileNotFoundError:
        return {}
    return {
        path[len(base) :].lstrip("/"): info
        for path, info in found.items()
        if info["type"] == "file" and not path.endswith("/") and (path == base or path.startswith(f"{base}/"))
    }


def changed(info: dict[str, Any]) -> float:
    """When an object was last changed, by what the driver says of it; seconds since the epoch, 0 if it does not say."""
    found = next((info[key] for key in ("LastModified", "mtime", "updated") if info.get(key)), None)
    if isinstance(found, str):
        found = datetime.datetime.fromisoformat(found.replace("Z", "+00:00"))
    return found.timestamp() if isinstance(found, datetime.datetime) else 0.0
