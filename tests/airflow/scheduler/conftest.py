"""One running Airflow for all tests here, which add their DAG files to the folder that its DAG processor looks through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bundle import Bundle
from tests.scheduler import Scheduler, running

_LOOK_SECONDS = 2


@pytest.fixture(scope="session")
def scheduler(bundle: Bundle) -> Iterator[Scheduler]:
    """A running Airflow (LocalExecutor), at first without DAGs."""
    _folder(bundle).mkdir()
    with (
        bundle.dag_bundles(refresh_seconds=_LOOK_SECONDS, scheduled=_folder(bundle)),
        running(bundle, print) as client,
    ):
        yield client
    left = _processes(bundle)
    assert not left, left


@pytest.fixture(scope="session")
def add_dags(bundle: Bundle, scheduler: Scheduler) -> Callable[[str, str], None]:
    """Adds a DAG file to the running Airflow: its name and its text; `Scheduler.wait_for_dag` waits until it is parsed."""

    def add(name: str, text: str) -> None:
        # Its DAG processor never sees a file that is half written.
        written = _folder(bundle) / f"{name}.new"
        written.write_text(text)
        written.rename(written.with_suffix(".py"))

    return add


def _folder(bundle: Bundle) -> Path:
    return bundle.folder / "scheduled"


def _processes(bundle: Bundle) -> list[bytes]:
    """Command lines of the processes with this Airflow's home, but for the one that the tests' own commands are forked from."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(bundle.home).encode() in (entry / "environ").read_bytes():
                    command = (entry / "cmdline").read_bytes()
                    if b"tests.warm_airflow" not in command:
                        found.append(command)
            except OSError:
                continue
    return found
