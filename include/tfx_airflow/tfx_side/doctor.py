"""`python -m include.tfx_airflow.tfx_side.doctor`: the TFX interpreter's part of `doctor`.

Reads the store's address from standard input, prints a JSON list of [good, text]. Imports no TFX.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from typing import Any

_PACKAGES = (
    "tfx",
    "apache-beam",
    "tensorflow",
    "ml-metadata",
    "tensorflow-model-analysis",
    "pip",
    "setuptools",
)


def findings(address: dict[str, Any]) -> list[tuple[bool, str]]:
    """Checks which packages are installed and whether the store can be used."""
    found: list[tuple[bool, str]] = [(True, f"{sys.executable} is Python {platform.python_version()}")]
    for package in _PACKAGES:
        try:
            found.append((True, f"{package} {metadata.version(package)}"))
        except metadata.PackageNotFoundError:
            found.append(
                (
                    False,
                    f"{package} is missing in {sys.prefix}; install include/requirements-tfx.txt, or -tfx-1.16.txt.",
                )
            )
    from include.tfx_airflow.contract.errors import MlmdError
    from include.tfx_airflow.tfx_side.mlmd import setup

    try:
        found.append((True, f"MLMD {setup.status(address)}"))
    except MlmdError as error:
        found.append((False, str(error)))
    return found


if __name__ == "__main__":
    print(json.dumps(findings(json.load(sys.stdin))))
