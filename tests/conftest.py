"""Fixtures of the tests that start Airflow: one Airflow home for all, DAG files written in code.

Loaded by both interpreters; imports neither Airflow nor TFX.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bundle import ROOT, Bundle


def pytest_report_header() -> str:
    """Says which of the two interpreters this is."""
    return f"interpreter: {sys.executable} (Python {platform.python_version()})"


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A migrated Airflow with an empty DAG folder, as `make env` sets it up but in a folder of its own."""
    folder = tmp_path_factory.mktemp("bundle")
    lines = subprocess.run([ROOT / "include/env.sh"], capture_output=True, text=True, check=True).stdout
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW"))}
    for line in lines.splitlines():
        name, value = line.removeprefix("export ").split("=", 1)
        environment[name] = os.path.expandvars(value.strip('"')).replace("\\", "")
    environment["AIRFLOW_HOME"] = str(folder / "home")
    environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(folder / "dags")
    environment["PYTHONPATH"] = str(ROOT)
    (folder / "dags").mkdir()
    made = Bundle(folder, environment)
    done = made.run("airflow", "db", "migrate")
    assert done.returncode == 0, done.stdout
    return made
