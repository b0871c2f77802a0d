"""taxi_ingest under the real scheduler: a run for each new span, and jobs that end with their tasks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests import process_list
from tests.bundle import ROOT, Bundle
from tests.raw_trips import MONTHS, raw_folder, write_raw
from tests.scheduler import Scheduler
from tests.server import wait_until

_CONSUMER = """
import json
from datetime import datetime
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, task

schedule = PartitionedAssetTimetable(assets=Asset("taxi_spans"))
with DAG("consumer", schedule=schedule, start_date=datetime(2014, 1, 1), catchup=False, max_active_runs=1):
    @task
    def write(**context):
        [[event]] = context["triggering_asset_events"].values()
        key = context["partition_key"]
        with open({path!r}, "a") as file:
            print(json.dumps([key, event.partition_key, event.extra[key]]), file=file)
    write()
"""


@pytest.fixture(scope="module", autouse=True)
def _dags(bundle: Bundle, add_dags: Callable[[str, str], None]) -> None:
    """taxi_ingest, and a DAG that wants each span."""
    add_dags("taxi_ingest", (ROOT / "dags" / "taxi_ingest.py").read_text())
    add_dags("consumer", _CONSUMER.format(path=str(bundle.folder / "consumed")))


def _ingest(scheduler: Scheduler, run_id: str, **conf: Any) -> dict[str, str]:
    scheduler.trigger("taxi_ingest", run_id, conf)
    scheduler.wait_for_run("taxi_ingest", run_id, 120)
    return {name: task["state"] for name, task in scheduler.tasks("taxi_ingest", run_id).items()}


def test_each_new_span_gives_a_run_of_its_own_in_the_order_of_months(
    bundle: Bundle, scheduler: Scheduler
) -> None:
    scheduler.unpause("consumer")
    path = bundle.folder / "consumed"

    def consumed() -> list[Any]:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    raw = write_raw(bundle)
    assert _ingest(scheduler, "first", raw=raw) == {"partition": "success", "announce": "success"}
    wait_until(lambda: len(consumed()) >= 3, 60, "three runs")
    spans = bundle.home / "tfx/taxi/spans"
    assert consumed() == [
        [month, month, {"version": 0, "rows": 2, "path": str(spans / month / "v0")}] for month in MONTHS
    ]
    # One month changed: one event, with the new version. The same delivery again: test_beam_dags.py.
    write_raw(bundle, tips=2)
    assert _ingest(scheduler, "changed", raw=raw) == {"partition": "success", "announce": "success"}
    wait_until(lambda: len(consumed()) >= 4, 60, "a fourth run")
    assert consumed()[3:] == [
        ["201402", "201402", {"version": 1, "rows": 2, "path": str(spans / "201402/v1")}]
    ]
    # A try that finds all written by the one before announces what its run delivered and is still the newest.
    scheduler.clear("taxi_ingest", "first", "partition")
    scheduler.wait_for_try("taxi_ingest", "first", "announce", 2)
    wait_until(lambda: len(consumed()) >= 6, 60, "two runs more")
    assert [key for key, *_ in consumed()[4:]] == ["201401", "201403"]
    runs = scheduler.call("GET", "/api/v2/dags/consumer/dagRuns")["dag_runs"]
    assert sorted(run["partition_key"] for run in runs) == sorted(key for key, *_ in consumed())


def test_a_job_whose_task_is_marked_failed_ends_and_one_that_fails_says_why(
    bundle: Bundle, scheduler: Scheduler
) -> None:
    os.mkfifo(raw_folder(bundle) / "nobody-writes")
    root = f"--root={bundle.home}/tfx/taxi"
    run_id = scheduler.trigger("taxi_ingest", conf={"raw": "nobody-writes"})
    wait_until(lambda: process_list.running(root), 60, "the job")
    scheduler.fail_task("taxi_ingest", run_id, "partition")
    wait_until(lambda: not process_list.running(root), 20, "the job to end with its task")
    assert scheduler.wait_for_run("taxi_ingest", run_id) == "failed"
    (raw_folder(bundle) / "raw.csv").write_text("fare,tips\n1,2\n")
    run_id = scheduler.trigger("taxi_ingest", conf={"raw": "raw.csv"})
    assert scheduler.wait_for_run("taxi_ingest", run_id, 60) == "failed"
    log = scheduler.log("taxi_ingest", run_id, "partition")
    assert "Beam job failed: 'include.taxi.ingest' ended with exit code 1" in log and "has no columns" in log
