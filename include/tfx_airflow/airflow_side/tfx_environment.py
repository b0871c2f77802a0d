"""What compiles a pipeline: the TFX interpreter with its packages, and the environment variables that compiling sees."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from include.tfx_airflow.airflow_side import airflow_variables
from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import Settings


def now(
    installed: Sequence[str],
    variables: Sequence[str],
    settings: Settings,
    trusted: Mapping[str, str],
    seen: dict[str, str | None] | None = None,
    own_environment: Mapping[str, str] | None = None,
    names: Sequence[str] = (),
) -> dict[str, str]:
    """Everything but the user's files that a compiled pipeline depends on, as of now.

    Args:
      installed: `Manifest.installed`.
      variables: `Manifest.variables`.
      settings: Without an interpreter, versions and packages are taken on trust.
      trusted: `Manifest.environment`.
      seen: See `fingerprint.content_key`.
      own_environment: Variables of the child that compiles, besides those of all.
      names: `Manifest.airflow_variables`.

    Raises:
      CompileError: An Airflow Variable cannot be read now.
    """
    found = dict(trusted)
    if settings.python:
        found = versions(settings.python)
        if installed:
            found["installed"] = fingerprint.content_key(installed, settings.roots(), {}, seen) or "missing"
    if variables:
        given = process.child_environment(settings, own_environment)
        found["variables"] = fingerprint.variables_key(variables, given)
    if names:
        values = airflow_variables.values(names)
        found["airflow_variables"] = fingerprint.variables_key(names, values)
    return found


def versions(python: str) -> dict[str, str]:
    """TFX and Python version of an interpreter, read from its folder, and a key of all its packages."""
    prefix = Path(python).parent.parent
    for info in sorted(prefix.glob("lib/python3.*/site-packages/tfx-*.dist-info")):
        version = info.name.split("-")[1].removesuffix(".dist")
        return {"tfx": version, "python": info.parts[-3], "packages": fingerprint.packages_key(info.parent)}
    return _ask_interpreter(python)


@functools.lru_cache(maxsize=8)
def _ask_interpreter(python: str) -> dict[str, str]:
    """Not a venv of its own (a system or user install): ask it, which takes some 50 ms."""
    code = (
        "import sys, importlib.metadata as m; print(m.version('tfx'), 'python%d.%d' % sys.version_info[:2])"
    )
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
        version, name = answer.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {"tfx": "missing", "python": "unknown"}
    return {"tfx": version, "python": name}
