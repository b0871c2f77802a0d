"""The lanes of this bundle: `airflow dags test` and scheduled, with and without a warm node server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.lane import checked, result, row, timed
from tests.benchmarks.memory import Memory
from tests.benchmarks.workload import NAME, REFERENCE, Place
from tests.bundle import Bundle, environment
from tests.scheduler import Scheduler, running

_NEW_PROCESSES = {"AIRFLOW__TFX_AIRFLOW__NODE_SERVER": "False"}


def make(folder: Path) -> tuple[Bundle, Place]:
    """An empty Airflow whose one DAG is the pipeline."""
    (folder / "dags").mkdir(parents=True)
    bundle = Bundle(folder, environment(folder))
    checked(bundle.run("airflow", "db", "migrate"))
    place = Place(folder / "home" / "tfx")
    bundle.write_dag(NAME, REFERENCE, **place.arguments())
    return bundle, place


def stop_server(bundle: Bundle) -> None:
    """Ends the node server, if there is one."""
    checked(bundle.run("python", "-m", "include.tfx_airflow", "serve", "--stop"))


def dags_test(bundle: Bundle, place: Place, server: bool = True) -> dict[str, Any]:
    """One `airflow dags test`; cold or warm is what the calls before it left."""
    return timed(place, lambda: bundle.dags_test(NAME, **({} if server else _NEW_PROCESSES)))


@contextlib.contextmanager
def scheduler(bundle: Bundle) -> Iterator[Scheduler]:
    """Airflow as `make up` runs it, with the DAG parsed and not paused."""
    with running(bundle, lambda _: None) as airflow:
        airflow.wait_for_dag(NAME)
        airflow.call("PATCH", f"/api/v2/dags/{NAME}?update_mask=is_paused", {"is_paused": False})
        yield airflow


def scheduled(airflow: Scheduler, place: Place) -> dict[str, Any]:
    """One triggered run, from its queueing to its end."""
    place.clear()
    with Memory() as memory:
        run_id = airflow.trigger(NAME)
        state = airflow.wait_for_run(NAME, run_id, 1800)
    assert state == "success", airflow.tasks(NAME, run_id)
    run = airflow.call("GET", f"/api/v2/dags/{NAME}/dagRuns/{run_id}")
    queued = {task_id: _epoch(task["queued_when"]) for task_id, task in airflow.tasks(NAME, run_id).items()}
    return row(place, _epoch(run["end_date"]) - _epoch(run["queued_at"]), memory, queued)


def parse(bundle: Bundle) -> dict[str, Any]:
    """Parses the DAG file, its pipeline being compiled."""
    module = ["python", "-m", "tests.benchmarks.parse"]
    return result(bundle.run(*module, str(bundle.folder / "dags"), str(bundle.folder / "empty")))


def starts(bundle: Bundle, forked: int, new: int) -> dict[str, list[float]]:
    """Node starts, see `starts.py`."""
    return result(bundle.run("python", "-m", "tests.benchmarks.starts", str(forked), str(new)))


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
