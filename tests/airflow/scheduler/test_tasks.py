"""Under the real scheduler (LocalExecutor): what `airflow dags test` is too lenient to show."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.bundle import ROOT, Bundle, dag_file
from tests.scheduler import Scheduler

SMALL = "tests.pipelines.small"


@pytest.fixture(scope="module", autouse=True)
def _dags(bundle: Bundle, add_dags: Callable[[str, str], None]) -> None:
    """The DAGs of this file."""
    started, timed = (str(_started(bundle, name)) for name in ("sleeper", "timed"))
    timeout = "node_configs={'Sleep': NodeConfig(execution_timeout=timedelta(seconds=8))},"
    shared = {"reference": f"{SMALL}:write_and_read", "name": "shared_pipeline"}
    add_dags("clear_me", dag_file("clear_me", f"{SMALL}:write_and_read", name="clear_me"))
    add_dags("same_run_a", dag_file("same_run_a", message="from a", **shared))
    add_dags("same_run_b", dag_file("same_run_b", message="from b", **shared))
    add_dags("sleeper", dag_file("sleeper", f"{SMALL}:sleep", started=started))
    add_dags("timed", dag_file("timed", f"{SMALL}:sleep", config=timeout, started=timed))


def _started(bundle: Bundle, dag_id: str = "sleeper") -> Path:
    return bundle.folder / f"{dag_id}.pid"


# What a browser looks at ends with such a run, too: tests/panel/mounts/test_browser_airflow.py.
@pytest.mark.long
def test_the_taxi_pipeline_runs_from_the_trigger_form_with_parallel_nodes(
    bundle: Bundle, scheduler: Scheduler, add_dags: Callable[[str, str], None]
) -> None:
    add_dags("taxi", (ROOT / "dags/taxi.py").read_text())
    scheduler.wait_for_dag("taxi")
    details = scheduler.call("GET", "/api/v2/dags/taxi/details")
    assert set(details["params"]) >= {"train_args", "hyperparameters"}
    # The smallest change that somebody makes in the form: every other Param keeps its default.
    run_id = scheduler.trigger("taxi", conf={"train_args": {"num_steps": 321}})
    state = scheduler.wait_for_run("taxi", run_id, 1200)
    tasks = scheduler.tasks("taxi", run_id)
    assert state == "success", {name: task["state"] for name, task in tasks.items()}
    executions = {e.node: e for e in bundle.executions("taxi", run_id)}
    assert len(executions) == 9
    assert {e.state for e in executions.values()} <= {"COMPLETE", "CACHED"}
    assert executions["Trainer"].state == "COMPLETE"
    train_args = bundle.properties(executions["Trainer"].id)["train_args"]
    assert json.loads(train_args) == {"num_steps": 321}

    def span(task: str) -> tuple[datetime, datetime]:
        start, end = (tasks[task][key].replace("Z", "+00:00") for key in ("start_date", "end_date"))
        return datetime.fromisoformat(start), datetime.fromisoformat(end)

    for one, other in (("CsvExampleGen", "latest_blessed_model_resolver"), ("ExampleValidator", "Transform")):
        (start, end), (other_start, other_end) = span(one), span(other)
        assert max(start, other_start) < min(end, other_end), f"{one} and {other} did not overlap"


def test_a_cleared_task_runs_again_and_its_consumer_reads_the_new_output(
    bundle: Bundle, scheduler: Scheduler
) -> None:
    run_id = scheduler.trigger("clear_me")
    assert scheduler.wait_for_run("clear_me", run_id) == "success"
    write, read = bundle.executions("clear_me", run_id)
    scheduler.clear("clear_me", run_id, "Write")
    scheduler.wait_for_try("clear_me", run_id, "Read", 2)
    assert scheduler.wait_for_run("clear_me", run_id) == "success"
    _, _, write_again, read_again = bundle.executions("clear_me", run_id)
    assert (write_again.state, read_again.state) == ("COMPLETE", "COMPLETE")
    moments = [Path(e.uri("moment")).read_text() for e in (write, write_again)]
    assert moments[0] != moments[1]
    assert Path(read.uri("copy")).read_text() == moments[0]
    assert Path(read_again.uri("copy")).read_text() == moments[1]


def test_two_dags_with_the_same_run_id_do_not_mix(bundle: Bundle, scheduler: Scheduler) -> None:
    run_id = "same+run:1"
    for dag_id in ("same_run_a", "same_run_b"):
        scheduler.trigger(dag_id, run_id)
    for dag_id in ("same_run_a", "same_run_b"):
        assert scheduler.wait_for_run(dag_id, run_id) == "success"
    for dag_id, message in (("same_run_a", "from a"), ("same_run_b", "from b")):
        write, read = bundle.executions(dag_id, run_id)
        assert Path(write.uri("text")).read_text() == message
        assert Path(read.uri("copy")).read_text() == Path(write.uri("moment")).read_text()


def test_a_task_marked_failed_ends_its_node_and_mlmd_says_failed(
    bundle: Bundle, scheduler: Scheduler
) -> None:
    run_id = scheduler.trigger("sleeper")
    deadline = time.monotonic() + 180
    while not _started(bundle).exists():
        assert time.monotonic() < deadline, scheduler.log("sleeper", run_id, "Sleep")[-3000:]
        time.sleep(0.5)
    pid = int(_started(bundle).read_text())
    os.kill(pid, 0)
    scheduler.fail_task("sleeper", run_id, "Sleep")
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the node outlived its task"
        time.sleep(0.2)
    assert scheduler.wait_for_run("sleeper", run_id) == "failed"
    [execution] = bundle.executions("sleeper", run_id)
    assert execution.state == "FAILED" and execution.outputs == ()


def test_a_node_that_takes_too_long_ends_with_its_task_and_mlmd_says_failed(
    bundle: Bundle, scheduler: Scheduler
) -> None:
    run_id = scheduler.trigger("timed")
    assert scheduler.wait_for_run("timed", run_id) == "failed"
    assert "AirflowTaskTimeout" in scheduler.log("timed", run_id, "Sleep")
    pid = int(_started(bundle, "timed").read_text())
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the node outlived its task"
        time.sleep(0.2)
    [execution] = bundle.executions("timed", run_id)
    assert execution.state == "FAILED" and execution.outputs == ()
