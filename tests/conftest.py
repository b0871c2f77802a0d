"""Fixtures of the tests that start Airflow: one Airflow home for all, DAG files written in code.

Loaded by both interpreters; imports neither Airflow nor TFX.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator

import pytest

from tests.bundle import Bundle, environment


def pytest_report_header() -> str:
    """Says which of the two interpreters this is."""
    return f"interpreter: {sys.executable} (Python {platform.python_version()})"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: everything a test needs is installed there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("CI"):
        reporter.write_line(f"{len(skipped)} skipped in CI: that is a failure", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """A migrated Airflow with an empty DAG folder, as `make env` sets it up but in a folder of its own."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "dags").mkdir()
    made = Bundle(folder, environment(folder))
    done = made.run("airflow", "db", "migrate")
    assert done.returncode == 0, done.stdout
    yield made
    made.run("python", "-m", "include.tfx_airflow", "serve", "--stop")
