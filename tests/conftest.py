"""Fixtures of the tests that start Airflow: one Airflow home for all, DAG files written in code.

Loaded by both interpreters; imports neither Airflow nor TFX.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator

import pytest

from tests.bundle import Bundle, made


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
    """One Airflow for all tests that do not mind what others leave in it."""
    with made(tmp_path_factory.mktemp("bundle")) as bundle:
        yield bundle
