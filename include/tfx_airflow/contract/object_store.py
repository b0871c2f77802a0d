"""Object stores: which schemes there are, and what a node is told to use one."""

from __future__ import annotations

import dataclasses

# Package of fsspec's driver by scheme; the name of the scheme is the name of the extra, too.
DRIVERS = {"s3": "s3fs", "gs": "gcsfs"}
# Variable of a node's environment: the service account of Google Cloud, as JSON.
GOOGLE_ACCOUNT = "TFX_AIRFLOW_GOOGLE_ACCOUNT"
# Of one request to S3: seconds to connect and to wait for an answer, and how often it is made.
S3_LIMITS = {
    "connect_timeout": 5,
    "read_timeout": 60,
    "retries": {"max_attempts": 3, "mode": "standard"},
}


@dataclasses.dataclass(frozen=True)
class ObjectStoreAccess:
    """What a node is told.

    Attributes:
      environment: Variables for its process alone: credentials, address of the store.
      staging: Folder of this machine for copies of artifacts.
      staging_bytes: Of copies that are kept.
    """

    environment: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    staging: str = ""
    staging_bytes: int = 0


def scheme(address: str) -> str:
    """The scheme of an address, such as `s3`; "" of a path."""
    found, separator, _ = address.partition("://")
    return found if separator else ""


def is_object_store(address: str) -> bool:
    """Whether an address is one of an object store."""
    return scheme(address) in DRIVERS
