"""kill -9 of asking task, node and node server at random moments, on each kind of store: no orphan, nothing doubled."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.airflow_side import compiled
from include.tfx_airflow.node_process import process, server_client
from include.tfx_airflow.settings import Settings
from tests import servers
from tests.bundle import ROOT, Bundle, Execution
from tests.server import is_alive, wait_until

# Who is killed, and when: at any moment, or while the node publishes, which takes a few hundredths of a second.
_KILLS = (("task", ""), ("node", ""), ("server", ""), ("node", "in publish"), ("task", "in publish"))
# On each kind of store. A run takes 3 s, and 10 s more when the node server is killed. KILLS=200 for more of them.
RUNS = int(os.environ.get("KILLS", len(_KILLS)))
_SECONDS = 0.4  # that the node works
_PUBLISH_SHARE = 0.06  # of the time of an attempt
_STORES = {"mysql": servers.mariadb, "postgresql": servers.postgresql}


@dataclasses.dataclass
class Runs:
    """Attempts at the one node of `small.work`."""

    bundle: Bundle
    folder: Path
    settings: Settings
    ir: str
    database: servers.Server | None
    seconds: float = 0.0  # that an attempt takes on this machine, with a server that is there
    lines: int = 0  # that it logs

    @property
    def pids(self) -> list[int]:
        """Of every process that a node ever was or started."""
        path = self.folder / "pids"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def ask(self, run: str, try_number: int) -> subprocess.Popen[str]:
        """Starts an attempt."""
        key = f"kills:{run}:Work:-1:{try_number}:{time.time_ns()}"
        task = {"dag_id": "kills", "run_id": run, "task_id": "Work", "map_index": -1, "key": key}
        request = {
            "ir": self.ir,
            "node_id": "Work",
            "run": f"kills:{run}",
            "task": {**task, "try_number": try_number, "first_try": 1},
            "parameters": {},
            "mlmd": self.database.address
            if self.database
            else {"kind": "sqlite", "path": str(self.settings.mlmd_file)},
            "roots": self.settings.roots(),
        }
        path = self.folder / f"{run}-{try_number}.json"
        path.write_text(json.dumps({"settings": dataclasses.asdict(self.settings), "request": request}))
        return subprocess.Popen(
            ["python", "-m", "tests.asker", str(path)],
            env=self.bundle.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def server(self) -> dict[str, Any]:
        """Its status; {} when there is none."""
        return server_client.ask(self.settings, process.child_environment(self.settings), "status") or {}

    def executions(self, run: str) -> list[Execution]:
        """What the store holds of a run."""
        return (self.database or self.bundle).executions("kills", run)

    def outcome(self, asking: subprocess.Popen[str]) -> dict[str, Any]:
        """The result of an attempt that was left alone."""
        output, errors = asking.communicate(timeout=120)
        assert asking.returncode == 0, errors[-3000:]
        self.lines = errors.count("\n")
        return json.loads(output)


@pytest.fixture(
    scope="module",
    params=["sqlite", *(pytest.param(name, marks=pytest.mark.long) for name in ("postgresql", "mysql"))],
)
def runs(
    request: pytest.FixtureRequest, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """The compiled pipeline, a store, and a node server that has imported TFX."""
    folder = tmp_path_factory.mktemp("kills")
    settings = Settings(
        python=bundle.environment["AIRFLOW__TFX_AIRFLOW__PYTHON"],
        home=str(bundle.home / "tfx"),
        kill_grace=3.0,
    )
    found = compiled.load(
        "tests.pipelines.small:work", {"pids": str(folder / "pids"), "seconds": _SECONDS}, settings
    )
    with contextlib.ExitStack() as stack:
        database = None
        if request.param in _STORES:
            database = stack.enter_context(_STORES[request.param](folder / "files"))
            connection = database.airflow_environment
            done = bundle.command("mlmd", "init", **connection)
            assert done.returncode == 0, done.stdout
        made = Runs(bundle, folder, settings, str(found.ir), database)
        for run in ("before", "measured"):
            start = time.monotonic()
            assert made.outcome(made.ask(run, 1))["state"] == "executed"
            made.seconds = time.monotonic() - start
        yield made


def _pid(runs: Runs, asking: subprocess.Popen[str], victim: str) -> int:
    if victim == "task":
        return asking.pid
    status = runs.server()
    if victim == "server":
        return status.get("pid", 0)
    running = status.get("running")
    return running[0]["pid"] if running else 0


def _wait_for_publish(runs: Runs, asking: subprocess.Popen[str], victim: str) -> int:
    """Waits until the node is about to publish; returns the process id of the victim."""
    assert asking.stderr
    for line in asking.stderr:
        if "Publishing output artifacts" in line:
            return asking.pid if victim == "task" else runs.pids[-2]
    raise AssertionError(f"it published nothing: {asking.communicate()}")


@pytest.mark.timeout(3000)
def test_killed_at_any_moment_leaves_no_orphan_and_outputs_once(runs: Runs) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}; an attempt takes {runs.seconds:.1f} s")
    chance = random.Random(seed)
    told: dict[str, int] = {}
    for number in range(RUNS):
        run = f"run{number}"
        victim, moment = _KILLS[number % len(_KILLS)]
        if (moment or chance.random() < 0.7) and not runs.server():  # else it falls into the server's start
            assert runs.outcome(runs.ask(f"{run}again", 1))["state"] == "executed"
        asking = runs.ask(run, 1)
        if moment:
            pid = _wait_for_publish(runs, asking, victim)
            time.sleep(chance.uniform(0, _PUBLISH_SHARE * runs.seconds))
        else:  # its start, the fork, the driver, the work, the publisher
            for _ in range(chance.randint(0, runs.lines)):
                asking.stderr.readline()
            time.sleep(chance.uniform(0, 0.3 * runs.seconds))
            pid = _pid(runs, asking, victim)
        with contextlib.suppress(ProcessLookupError):  # it has ended since it was looked up
            if pid:
                os.kill(pid, signal.SIGKILL)
        output, errors = asking.communicate(timeout=120)
        first = json.loads(output)["state"] if output else "killed"
        if victim == "server":
            assert first == "executed", f"{run}: {output} {errors[-3000:]}"
        what = f"{victim} killed {moment}".strip() + f", first attempt {first}"
        wait_until(lambda: not any(is_alive(pid) for pid in runs.pids), 20)
        if first != "executed":
            what += f" and {'+'.join(e.state for e in runs.executions(run)) or 'not registered'}"
            retry = runs.outcome(runs.ask(run, 2))
            assert retry["state"] in ("executed", "cached"), retry["message"]
        told[what] = told.get(what, 0) + 1
        _check_outputs(runs, run, what)
    for what, times in sorted(told.items()):
        print(f"{times:4} x {what}")
    assert len(told) >= 3


def _check_outputs(runs: Runs, run: str, what: str) -> None:
    executions = runs.executions(run)
    states = [execution.state for execution in executions]
    assert set(states) <= {"COMPLETE", "CACHED", "FAILED"}, (run, what, states)
    live = {output for execution in executions for output in execution.outputs if output[1]}
    assert len(live) == 1, (run, what, states, live)
    failed = [execution for execution in executions if execution.state == "FAILED"]
    assert not [output for execution in failed for output in execution.outputs if output[1]], (
        run,
        what,
        failed,
    )
    [(_, _, uri)] = live
    assert Path(uri).read_text() == "whole"


@pytest.mark.parametrize("runs", ["sqlite"], indirect=True)
def test_a_task_that_dies_while_it_waits_for_the_servers_start_leaves_nothing(runs: Runs) -> None:
    assert runs.outcome(runs.ask("server_is_there", 1))["state"] == "executed"
    os.kill(runs.server()["pid"], signal.SIGKILL)
    asking = runs.ask("early", 1)
    wait_until(lambda: "Starting" in asking.stderr.readline())
    asking.kill()
    asking.communicate()
    assert runs.outcome(runs.ask("early", 2))["state"] == "executed"
    assert [e.state for e in runs.executions("early")] == ["COMPLETE"]


@pytest.mark.parametrize("runs", ["sqlite"], indirect=True)
def test_a_node_starts_in_less_than_a_third_of_a_second(runs: Runs) -> None:
    from include.tfx_airflow.contract.node import NodeRequest
    from include.tfx_airflow.node_process.node_process import NodeProcess

    waits = []
    for number in range(20):
        runs.ask(f"start{number}", 1).kill()  # writes the request; this process asks
        asked = json.loads((runs.folder / f"start{number}-1.json").read_text())["request"]
        start = time.time()
        result = NodeProcess(runs.settings, NodeRequest(**asked)).wait(lambda *_: None)
        waits.append(result.started - start)
    print(f"node start: median {sorted(waits)[10]:.3f} s, longest {max(waits):.3f} s")
    assert sorted(waits)[10] < 0.3
