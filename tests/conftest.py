"""Fixtures of the tests that start Airflow: one Airflow home for all, DAG files written in code.

Loaded by both interpreters; imports neither Airflow nor TFX.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator

import pytest

from tests.bundle import LANE, Bundle, Demo, made, run_demo

_of_other_lanes: list[str] = []


def pytest_report_header() -> str:
    """Says which of the two interpreters this is."""
    return f"interpreter: {sys.executable} (Python {platform.python_version()})"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what only another version of TFX has: `@pytest.mark.lane("1.16", reason=...)`."""
    others = [
        (item, mark) for item in items for mark in item.iter_markers("lane") if LANE and LANE not in mark.args
    ]
    _of_other_lanes[:] = sorted(
        {f"{item.nodeid}: of TFX {', '.join(mark.args)}, {mark.kwargs['reason']}" for item, mark in others}
    )
    left_out = [item for item, _ in others]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what was left out, and why."""
    for line in _of_other_lanes:
        terminalreporter.write_line(f"left out with TFX {LANE}: {line}")


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


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo in an Airflow of its own, as a new user has it."""
    with made(tmp_path_factory.mktemp("demo")) as bundle:
        said = run_demo(bundle)
        [(run_id,)] = bundle.airflow_rows("select run_id from dag_run where dag_id = 'taxi'")
        yield Demo(bundle, run_id, said)
