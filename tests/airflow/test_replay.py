"""`replay` on the embedded default, where Airflow's own database is SQLite."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle import Bundle, made

_DAG_FILE = """
from datetime import datetime
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig
dag = AirflowDagRunner(
    AirflowPipelineConfig(
        airflow_dag_config=dict(
            dag_id="monthly", start_date=datetime(2014, 1, 1), schedule="@monthly", catchup=False
        )
    )
).run("tests.pipelines.small:write_and_read", name="monthly")
"""


@pytest.mark.long
def test_each_interval_is_played_once_and_a_second_replay_shows_the_same(tmp_path: Path) -> None:
    with made(tmp_path) as bundle:
        (bundle.folder / "dags" / "monthly.py").write_text(_DAG_FILE)
        first = _replay(bundle)
        made_first = bundle.executions("monthly", "backfill__%")  # cron plays its newest interval beside
        assert {execution.state for execution in made_first} <= {"COMPLETE", "CACHED"}
        assert len(made_first) == 3 * 2
        assert "==> 3 runs in " in first
        second = _replay(bundle)
        assert bundle.executions("monthly", "backfill__%") == made_first
        assert _table(second) == _table(first)


_MONTHLY = """
from datetime import datetime, timezone
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronDataIntervalTimetable
schedule = CronDataIntervalTimetable("@monthly", timezone="UTC")
with DAG("monthly", start_date=datetime(2013, 1, 1, tzinfo=timezone.utc), schedule=schedule, catchup=False):
    EmptyOperator(task_id="one")
"""
_BACKFILL = """
from include.tfx_airflow.commands import replay
replay._TRIES = 2
print("MADE", replay._backfill("monthly", "2014-01-01", "2014-04-01", "me, replay 1"))
"""
# A writer that has the lock: for the third run of the first backfill that is made, or for all that is written.
_LOCKED = """
create trigger locked before insert on {table} when {when} begin select raise(abort, 'database is locked'); end
"""
_RUNS = "select run_id, state, backfill_id, triggering_user_name from dag_run order by run_id"
_BACKFILLS = "select id, triggering_user_name, completed_at is null from backfill order by id"


@pytest.fixture(scope="module")
def unused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """An Airflow that does not run, with a DAG that has not run yet, and a copy of its database."""
    with made(tmp_path_factory.mktemp("replay")) as bundle:
        (bundle.folder / "dags" / "monthly.py").write_text(_MONTHLY)
        assert bundle.airflow("dags", "reserialize").returncode == 0
        _copy(bundle.home / "airflow.db", bundle.folder / "unused.db")
        yield bundle


@pytest.fixture
def paused(unused: Bundle) -> Bundle:
    """That Airflow as it was before any test."""
    _copy(unused.folder / "unused.db", unused.home / "airflow.db")
    return dataclasses.replace(unused, environment=dict(unused.environment))


def _copy(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def _write(bundle: Bundle, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(bundle.home / "airflow.db")) as rows:
        rows.executescript(sql)


def test_a_backfill_of_the_user_is_left_alone_when_the_database_is_locked(paused: Bundle) -> None:
    command = ("backfill", "create", "--dag-id", "monthly")
    users = paused.airflow(
        *command, "--from-date", "2014-01-01", "--to-date", "2014-03-01", LOGNAME="somebody"
    )
    assert users.returncode == 0, users.stdout
    runs, backfills = paused.airflow_rows(_RUNS), paused.airflow_rows(_BACKFILLS)
    assert [row[1] for row in runs] == ["queued"] * 3 and backfills == [(1, "somebody", 1)]
    # Before anything is made, as when the scheduler writes; then what Airflow says of the user's own.
    _write(paused, _LOCKED.format(table="log", when="new.event like '%backfill%'"))
    said = paused.python(_BACKFILL)
    assert "MADE False" in said
    assert (paused.airflow_rows(_RUNS), paused.airflow_rows(_BACKFILLS)) == (runs, backfills)
    _write(paused, "drop trigger locked")
    assert "Another backfill is running" in paused.python(_BACKFILL)
    assert (paused.airflow_rows(_RUNS), paused.airflow_rows(_BACKFILLS)) == (runs, backfills)


def test_half_a_backfill_is_taken_back_and_made_again_and_runs_of_the_user_stay(paused: Bundle) -> None:
    command = ("backfill", "create", "--dag-id", "monthly")
    done = paused.airflow(
        *command, "--from-date", "2014-01-01", "--to-date", "2014-01-01", LOGNAME="somebody"
    )
    assert done.returncode == 0, done.stdout
    # January has failed, and is to run again; a run by hand waits for its turn.
    _write(paused, "update dag_run set state = 'failed'; update backfill set completed_at = created_at")
    done = paused.airflow("dags", "trigger", "monthly", "--run-id", "by_hand", LOGNAME="somebody")
    assert done.returncode == 0, done.stdout
    users = paused.airflow_rows(_RUNS)
    third = "new.sort_ordinal = 3 and (select count(*) from backfill) {}"
    _write(paused, _LOCKED.format(table="backfill_dag_run", when=third.format("> 1")))
    assert "MADE False" in paused.python(_BACKFILL)
    assert paused.airflow_rows(_RUNS) == users
    assert all(not is_open for _, _, is_open in paused.airflow_rows(_BACKFILLS))
    # The next one fails once, and goes on.
    tried = len(paused.airflow_rows(_BACKFILLS))
    _write(paused, "drop trigger locked")
    _write(paused, _LOCKED.format(table="backfill_dag_run", when=third.format(f"= {tried + 1}")))
    assert "MADE True" in paused.python(_BACKFILL.replace("replay 1", "replay 2"))
    [last] = [id_ for id_, user, is_open in paused.airflow_rows(_BACKFILLS) if is_open]
    runs = {run_id: values for run_id, *values in paused.airflow_rows(_RUNS)}
    assert runs.pop("by_hand") == ["queued", None, "somebody"]
    assert runs == {
        f"backfill__2014-0{month}-01T00:00:00+00:00": ["queued", last, user]
        for month, user in ((2, "somebody"), (3, "me, replay 2"), (4, "me, replay 2"), (5, "me, replay 2"))
    }


_RESERIALIZE = """
import sys
from airflow.__main__ import main
sys.argv = ["airflow", "dags", "reserialize"]
main()
"""
_DATES = """
from include.tfx_airflow.commands import report
print("DATES", *(run["date"][:10] for run in report.read_runs("monthly")))
"""


@pytest.mark.parametrize(
    ("airflows", "schedules"), [("America/Chicago", "UTC"), ("UTC", "Asia/Tokyo")], ids=["behind", "ahead"]
)
def test_intervals_are_those_of_the_dates_on_the_clock_of_the_schedule(
    paused: Bundle, airflows: str, schedules: str
) -> None:
    text = _MONTHLY.replace('timezone="UTC"', f'timezone="{schedules}"')
    (paused.folder / "dags" / "monthly.py").write_text(text)
    if airflows != "UTC":  # as it is by default, in the process that the other tests have started
        paused.environment["AIRFLOW__CORE__DEFAULT_TIMEZONE"] = airflows
    said = paused.python(_RESERIALIZE + _BACKFILL + _DATES)
    assert "MADE True" in said
    assert said.rpartition("DATES ")[2].split() == [f"2014-0{month}-01" for month in (1, 2, 3, 4)]


def _replay(bundle: Bundle) -> str:
    done = bundle.run("python", "-m", "include.tfx_airflow", "replay", "monthly", "2014-01-01", "2014-03-01")
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def _table(said: str) -> list[str]:
    lines = [line for line in said.rpartition("==> 3 runs in ")[2].splitlines() if line.startswith("2014-")]
    assert len(lines) == 3, said
    return lines
