"""`replay`: runs past data intervals of a DAG through the real scheduler, with progress and a chart.

A backfill, as `airflow backfill create` makes it: one run after the other, oldest first, since each trains on
the data of those before it.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from include.tfx_airflow.airflow_side import span_number
from include.tfx_airflow.commands import history, report, up
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.node_process import process
from include.tfx_airflow.settings import read_settings

_POLL_SECONDS = 2.0
_PARSE_SECONDS = 300.0
_TRIES = 6
_COMPLETE_SECONDS = 90.0  # the scheduler looks every 30
_DONE = ("success", "failed")


def main(dag_id: str, first: str, last: str, before: str | None, metric: str) -> int:
    """Starts Airflow, runs the intervals, prints the table; returns the exit code.

    Args:
      dag_id: The DAG to run.
      first: Date of the first data interval's start, such as "2013-12-01".
      last: Date of the last data interval's start.
      before: DAG to run once beforehand, such as one that delivers the data.
      metric: Metric of the table and the chart.
    """
    begun = time.monotonic()
    try:
        rows = _play(dag_id, first, last, before, metric)
    except KeyboardInterrupt:
        return 1
    if not rows:
        return 1
    print(f"==> {len(rows)} runs in {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
    print("\n".join(history.lines(rows, metric)))
    print(f"Chart: {draw(dag_id, rows, metric)}")
    return 1 if any(row.state == "failed" for row in rows) else 0


def _play(dag_id: str, first: str, last: str, before: str | None, metric: str) -> list[history.Row]:
    # Airflow stores and shows it with the backfill and each new run: only what bears it was made here.
    mark = f"{_user()}replay {secrets.token_hex(4)}"
    with up.running(0) as airflow:
        if (
            airflow is None
            or (before and not _run_once(before, airflow))
            or not _backfill(dag_id, first, last, mark)
        ):
            return []
        rows = _follow(dag_id, mark, metric, airflow)
        if rows:
            _wait_for_the_end(mark)
        return rows


def _user() -> str:
    try:
        return f"{getpass.getuser()}, "
    except (KeyError, OSError):  # a container's user without a name
        return ""


def draw(dag_id: str, rows: list[history.Row], metric: str) -> Path:
    """Draws the metric over the runs, in the TFX interpreter, which has the library for it.

    Returns:
      The chart, an SVG file below `home`.
    """
    settings = read_settings()
    path = Path(settings.home) / "history" / f"{dag_id}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    points = [
        {
            "label": " ".join(filter(None, [row.date[:7], row.copy])),
            "blessed": row.decision,
            "contradicted": row.contradicted,
            "pushed": bool(row.pushed),
            **{side: float(value) for side, value in row.metrics[metric].items()},
        }
        for row in rows
        if metric in row.metrics
    ]
    subprocess.run(
        [settings.interpreter(), "-m", "include.tfx_airflow.tfx_side.draw", str(path), metric],
        input=json.dumps(points),
        text=True,
        env=process.child_environment(settings),
        cwd=BUNDLE_ROOT,
        check=True,
    )
    return path


def _run_once(dag_id: str, airflow: subprocess.Popen[bytes]) -> bool:
    if not _unpause(dag_id) or not _airflow("dags", "trigger", dag_id):
        return False
    while True:
        run = report.read_run(dag_id, None)
        if run["state"] in _DONE:
            print(f"    {dag_id}: {run['state']}, {run['seconds']:.0f} s", flush=True)
            return run["state"] == "success"
        if up.has_ended(airflow):
            return False
        time.sleep(_POLL_SECONDS)


def _unpause(dag_id: str) -> bool:
    return _is_parsed(dag_id) and _airflow("dags", "unpause", dag_id, "--yes")


def _is_parsed(dag_id: str) -> bool:
    """Waits until a DAG is parsed: before that, `unpause` does nothing and reports success."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    deadline = time.monotonic() + _PARSE_SECONDS
    while time.monotonic() < deadline:
        with create_session() as session:
            if session.get(DagModel, dag_id) is not None:
                return True
        time.sleep(_POLL_SECONDS)
    print(
        f"DAG {dag_id!r} was not parsed within {_PARSE_SECONDS:.0f} s; see 'airflow dags list-import-errors'.",
        file=sys.stderr,
    )
    return False


def _backfill(dag_id: str, first: str, last: str, mark: str) -> bool:
    # Paused until the backfill is complete: meanwhile the scheduler leaves the DAG alone.
    if not _is_parsed(dag_id):
        return False
    dates = ("--from-date", _midnight(dag_id, first), "--to-date", _midnight(dag_id, last))
    # Successful runs stay: a second replay shows them again.
    options = ("--max-active-runs", "1", "--reprocess-behavior", "failed")
    before = _failed_runs(dag_id)
    return _airflow(
        *("backfill", "create", "--dag-id", dag_id, *dates, *options),
        user=mark,
        undo=lambda: _remove_half_a_backfill(dag_id, mark, before),
    ) and _unpause(dag_id)


def _midnight(dag_id: str, date: str) -> str:
    """A date as its midnight in the time zone of the DAG's schedule; anything else unchanged."""
    from airflow.models.serialized_dag import SerializedDagModel

    dag = SerializedDagModel.get_dag(dag_id)
    try:
        day = datetime.strptime(date, "%Y-%m-%d")
    except ValueError:
        return date
    return day.replace(tzinfo=span_number.clock(dag)).isoformat() if dag else date


def _failed_runs(dag_id: str) -> dict[int, dict[str, Any]]:
    """By id, what a backfill changes in the failed runs that it takes over: whose they are."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    columns = (DagRun.backfill_id, DagRun.run_type, DagRun.triggered_by)
    query = select(DagRun.id, *columns).where(DagRun.dag_id == dag_id, DagRun.state == "failed")
    with create_session() as session:
        return {
            id_: dict(zip(("backfill_id", "run_type", "triggered_by"), values, strict=True))
            for id_, *values in session.execute(query)
        }


def _remove_half_a_backfill(dag_id: str, mark: str, before: dict[int, dict[str, Any]]) -> None:
    """Undoes a failed `backfill create`: it commits run by run, and while one is open no other can start.

    Only what bears this replay's mark: other backfills and runs stay. A failed run that it had queued again is marked
    failed, as before.
    """
    from airflow.models.backfill import Backfill
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select, update

    mine = Backfill.dag_id == dag_id, Backfill.triggering_user_name == mark
    queued = DagRun.backfill_id.in_(select(Backfill.id).where(*mine)), DagRun.state == "queued"
    with create_session() as session:
        for id_ in set(session.scalars(select(DagRun.id).where(*queued))) & set(before):
            session.execute(update(DagRun).where(DagRun.id == id_).values(state="failed", **before[id_]))
        session.execute(delete(DagRun).where(*queued, DagRun.triggering_user_name == mark))
        now = datetime.now(timezone.utc)
        session.execute(
            update(Backfill).where(*mine, Backfill.completed_at.is_(None)).values(completed_at=now)
        )


def _run_ids(dag_id: str, mark: str) -> set[str]:
    """Runs of the intervals of this replay's backfill, including those that existed before."""
    from airflow.models.backfill import Backfill, BackfillDagRun
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    mine = select(Backfill.id).where(Backfill.dag_id == dag_id, Backfill.triggering_user_name == mark)
    dates = select(BackfillDagRun.logical_date).where(BackfillDagRun.backfill_id.in_(mine))
    query = select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun.logical_date.in_(dates))
    with create_session() as session:
        return set(session.scalars(query))


def _follow(dag_id: str, mark: str, metric: str, airflow: subprocess.Popen[bytes]) -> list[history.Row]:
    """Prints a line for each run that ends, until all have ended; none when Airflow has."""
    printed: set[str] = set()
    while True:
        mine = _run_ids(dag_id, mark)
        runs = [run for run in report.read_runs(dag_id) if run["run_id"] in mine]
        ended = [run for run in runs if run["state"] in _DONE]
        for run in ended:
            if run["run_id"] not in printed:
                printed.add(run["run_id"])
                line = history.lines(history.rows(run), metric)[1:]
                print(f"    {len(printed):>3} of {len(runs)}  " + "\n".join(line), flush=True)
        if runs and len(ended) == len(runs):
            return [row for run in runs for row in history.rows(run)]
        if up.has_ended(airflow):
            return []
        time.sleep(_POLL_SECONDS)


def _wait_for_the_end(mark: str) -> None:
    """Waits until the scheduler has closed the backfill: while one is open, no other can start."""
    from airflow.models.backfill import Backfill
    from airflow.utils.session import create_session
    from sqlalchemy import select

    deadline = time.monotonic() + _COMPLETE_SECONDS
    while time.monotonic() < deadline:
        with create_session() as session:
            if not session.scalars(
                select(Backfill).filter_by(triggering_user_name=mark, completed_at=None)
            ).first():
                return
        time.sleep(_POLL_SECONDS)


def _airflow(*arguments: str, user: str = "", undo: Callable[[], None] | None = None) -> bool:
    """Runs an `airflow` command; retries while SQLite is locked by the scheduler. Prints why it failed.

    Args:
      *arguments: Of the command.
      user: The user Airflow records for what the command creates; empty for the user of this process.
      undo: Undoes what a failed command may have done.
    """
    environment = {**os.environ, **({"LOGNAME": user} if user else {})}
    for attempt in range(_TRIES):
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode == 0:
            return True
        said = (done.stdout + done.stderr).strip()
        time.sleep(1 + attempt)
        if undo:
            undo()
        if "database is locked" not in said:
            break
    last = "\n".join(said.splitlines()[-5:])
    print(f"'airflow {' '.join(arguments)}' failed:\n{last}", file=sys.stderr)
    return False
