"""Object stores on Airflow's side: what a DAG needs of them, checked at parse, and the credentials, read at run time only.

Credentials come from one Connection and go into the environment of the process that needs them: no command line, manifest,
log, XCom or ML Metadata has them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook

from include.tfx_airflow.contract.errors import ConfigError, ObjectStoreError, TfxAirflowError
from include.tfx_airflow.contract.object_store import (
    DRIVERS,
    GOOGLE_ACCOUNT,
    S3_LIMITS,
    ObjectStoreAccess,
    is_object_store,
    scheme,
)
from include.tfx_airflow.settings import SECTION, Settings

_SETTING = f"[{SECTION}] object_store_conn_id"
# What is understood of a Connection's extra, and the variable that AWS's libraries read.
_AWS = {
    "endpoint_url": "AWS_ENDPOINT_URL",
    "region_name": "AWS_DEFAULT_REGION",
    "aws_session_token": "AWS_SESSION_TOKEN",
}
_GOOGLE = ("key_path", "keyfile_dict", "project")


def check(addresses: Mapping[str, str], settings: Settings, here: bool = False) -> None:
    """Checks, at parse, that what a DAG names in object stores can be used.

    Args:
      addresses: By what they are, such as "pipeline_root"; paths are passed over.
      settings: Those of this machine.
      here: Whether Airflow's interpreter itself opens them, not TFX's.

    Raises:
      ConfigError: A driver is not installed, no Connection is named, or an address has a user in it.
    """
    for what, address in addresses.items():
        if not is_object_store(address):
            continue
        name = scheme(address)
        if "@" in address.split("/")[2]:
            raise ConfigError(
                f"{what} names a user in its {name}:// address; credentials belong in the Connection of {_SETTING}."
            )
        if not settings.object_store_conn_id:
            raise ConfigError(
                f"{what} is {address!r}, and {_SETTING} names no Connection; create one of type "
                f"{_KINDS[name]!r} and name it there (AIRFLOW__{SECTION.upper()}__OBJECT_STORE_CONN_ID)."
            )
        package = DRIVERS[name]
        missing = importlib.util.find_spec(package) is None if here else _tfx_lacks(package, settings)
        if missing:
            raise ConfigError(
                f"{what} is {address!r}, and the {'Airflow' if here else 'TFX'} interpreter has no {package}; run "
                f"'make setup EXTRAS={name}'."
            )


def _tfx_lacks(package: str, settings: Settings) -> bool:
    if not settings.python:
        return False  # a machine that parses and runs no node
    site_packages = Path(settings.python).parent.parent.glob("lib/python3*/site-packages")
    return not any((folder / package).is_dir() for folder in site_packages)


def access(settings: Settings) -> dict[str, Any]:
    """What a node is told; {} if no Connection is named.

    Raises:
      ObjectStoreError: The Connection cannot be read, or has what is not understood.
    """
    if not settings.object_store_conn_id:
        return {}
    return dataclasses.asdict(
        ObjectStoreAccess(
            environment(settings), str(settings.staging_folder), int(settings.staging_gib * (1 << 30))
        )
    )


def environment(settings: Settings) -> dict[str, str]:
    """Variables for a process that uses the store; {} if no Connection is named.

    Raises:
      ObjectStoreError: The Connection cannot be read, or has what is not understood.
    """
    name = settings.object_store_conn_id
    if not name:
        return {}
    try:
        connection = BaseHook.get_connection(name)
        extra = dict(connection.extra_dejson)
    except Exception as error:  # from any secrets backend; its text may contain secrets
        raise ObjectStoreError(
            f"Connection {name!r}, named by {_SETTING}, does not exist or cannot be read now ({type(error).__name__}). Check it "
            f"with 'airflow connections get {name}' and run the task again; nothing was done."
        ) from None
    kind = (connection.conn_type or "").lower()
    if kind == "aws":
        _refuse_unknown(name, extra, tuple(_AWS))
        found = {variable: str(extra[field]) for field, variable in _AWS.items() if extra.get(field)}
        if connection.login:
            found["AWS_ACCESS_KEY_ID"] = connection.login
            found["AWS_SECRET_ACCESS_KEY"] = connection.password or ""
        return found
    if kind == "google_cloud_platform":
        _refuse_unknown(name, extra, _GOOGLE)
        found = {}
        if extra.get("key_path"):
            found["GOOGLE_APPLICATION_CREDENTIALS"] = str(extra["key_path"])
        if account := extra.get("keyfile_dict"):
            found[GOOGLE_ACCOUNT] = account if isinstance(account, str) else json.dumps(account)
        return found
    raise ObjectStoreError(
        f"Connection {name!r}, named by {_SETTING}, has type {connection.conn_type!r}; it must be one of "
        f"{sorted(_KINDS.values())}."
    )


_KINDS = {"s3": "aws", "gs": "google_cloud_platform"}


def _refuse_unknown(name: str, extra: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(key for key, value in extra.items() if value and key not in known)
    if unknown:
        raise ObjectStoreError(
            f"Connection {name!r}, named by {_SETTING}, has {unknown} in its extra, which is not understood; only "
            f"{list(known)} are. A role comes from the machine itself: leave login and password empty."
        )


def file_system(address: str, settings: Settings) -> Any:
    """fsspec's file system of an address, for this process.

    Raises:
      ObjectStoreError: The Connection cannot be read.
    """
    import fsspec

    options: dict[str, Any] = {}
    if is_object_store(address):
        options = {"use_listings_cache": False, "skip_instance_cache": True, **driver_options(settings)}
    if scheme(address) == "s3":
        options["config_kwargs"] = S3_LIMITS
    return fsspec.filesystem(scheme(address) or "file", **options)


@contextlib.contextmanager
def answered(address: str) -> Iterator[None]:
    """Turns a driver's error into one that names the address; of a path errors stay as they are.

    Raises:
      ObjectStoreError: The store does not answer, or refuses.
    """
    try:
        yield
    except TfxAirflowError:
        raise
    except Exception as error:
        if not is_object_store(address):
            raise
        raise ObjectStoreError(
            f"{address!r} cannot be read: {type(error).__name__}: {error}; when the object store answers again, and lets "
            f"the account of {_SETTING} read it, run the task again."
        ) from error


def driver_options(settings: Settings) -> dict[str, Any]:
    """The Connection as options of fsspec's driver.

    Raises:
      ObjectStoreError: The Connection cannot be read.
    """
    found = environment(settings)
    names = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
    options: dict[str, Any] = {option: found[name] for name, option in names.items() if name in found}
    client = {field: found[_AWS[field]] for field in ("endpoint_url", "region_name") if _AWS[field] in found}
    if client:
        options["client_kwargs"] = client
    if account := found.get(GOOGLE_ACCOUNT):
        options["token"] = json.loads(account)
    if path := found.get("GOOGLE_APPLICATION_CREDENTIALS"):
        options["token"] = path
    return options
