"""kill -9 of asking task, node and node server at random moments: no orphan, nothing doubled."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow import compiled, process, warm
from include.tfx_airflow.settings import Settings
from tests.bundle import ROOT, Bundle
from tests.server import is_alive, wait_until

# A run takes 2 s, and 10 s more when the server is killed. KILLS=100 for more of them.
RUNS = int(os.environ.get("KILLS", "12"))
_SECONDS = 0.4  # that the node works


@dataclasses.dataclass
class Runs:
    """Attempts at the one node of `small.work`."""

    bundle: Bundle
    folder: Path
    settings: Settings
    ir: str

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
            "mlmd": {"kind": "sqlite", "path": str(self.settings.mlmd_file)},
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
        return warm.ask(self.settings, process.child_environment(self.settings), "status") or {}

    def outcome(self, asking: subprocess.Popen[str]) -> dict[str, Any]:
        """The result of an attempt that was left alone."""
        output, errors = asking.communicate(timeout=120)
        assert asking.returncode == 0, errors[-3000:]
        return json.loads(output)


@pytest.fixture(scope="module")
def runs(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The compiled pipeline and a server that has imported TFX."""
    folder = tmp_path_factory.mktemp("kills")
    settings = Settings(
        python=bundle.environment["AIRFLOW__TFX_AIRFLOW__PYTHON"],
        home=str(bundle.home / "tfx"),
        kill_grace=3.0,
    )
    found = compiled.load(
        "tests.pipelines.small:work", {"pids": str(folder / "pids"), "seconds": _SECONDS}, settings
    )
    made = Runs(bundle, folder, settings, str(found.ir))
    assert made.outcome(made.ask("before", 1))["state"] == "executed"
    return made


def _victims(runs: Runs, asking: subprocess.Popen[str]) -> dict[str, Callable[[], int]]:
    def child() -> int:
        running = runs.server().get("running")
        return running[0]["pid"] if running else 0

    return {"task": lambda: asking.pid, "node": child, "server": lambda: runs.server().get("pid", 0)}


@pytest.mark.timeout(3000)
def test_killed_at_any_moment_leaves_no_orphan_and_outputs_once(runs: Runs) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    chance = random.Random(seed)
    told: dict[str, int] = {}
    for number in range(RUNS):
        run, victim = f"run{number}", ("task", "node", "server")[number % 3]
        if chance.random() < 0.7 and not runs.server():  # else the moment falls into the server's start
            assert runs.outcome(runs.ask(f"{run}again", 1))["state"] == "executed"
        asking = runs.ask(run, 1)
        # Its start, the fork, the driver, the work, the publisher.
        time.sleep(chance.uniform(0.05, 0.5 + 1.2 * _SECONDS))
        pid = _victims(runs, asking)[victim]()
        with contextlib.suppress(ProcessLookupError):  # it has ended since it was looked up
            if pid:
                os.kill(pid, signal.SIGKILL)
        output, errors = asking.communicate(timeout=120)
        first = json.loads(output)["state"] if output else "killed"
        if victim == "server":
            assert first == "executed", f"{run}: {output} {errors[-3000:]}"
        what = f"{victim} killed, first attempt {first}"
        told[what] = told.get(what, 0) + 1
        wait_until(lambda: not any(is_alive(pid) for pid in runs.pids), 20)
        if first != "executed":
            retry = runs.outcome(runs.ask(run, 2))
            assert retry["state"] in ("executed", "cached"), retry["message"]
        _check_outputs(runs, run, what)
    print(told)
    assert len(told) >= 3


def _check_outputs(runs: Runs, run: str, what: str) -> None:
    executions = runs.bundle.executions("kills", run)
    states = [execution.state for execution in executions]
    assert set(states) <= {"COMPLETE", "CACHED", "FAILED"}, (run, what, states)
    live = {output for execution in executions for output in execution.outputs if output[1]}
    assert len(live) == 1, (run, what, states, live)
    [(_, _, uri)] = live
    assert Path(uri).read_text() == "whole"


def test_a_task_that_dies_while_it_waits_for_the_servers_start_leaves_nothing(runs: Runs) -> None:
    assert runs.outcome(runs.ask("server_is_there", 1))["state"] == "executed"
    os.kill(runs.server()["pid"], signal.SIGKILL)
    asking = runs.ask("early", 1)
    wait_until(lambda: "Starting" in asking.stderr.readline())
    asking.kill()
    asking.communicate()
    assert runs.outcome(runs.ask("early", 2))["state"] == "executed"
    assert [e.state for e in runs.bundle.executions("kills", "early")] == ["COMPLETE"]


def test_a_node_starts_in_less_than_a_third_of_a_second(runs: Runs) -> None:
    from include.tfx_airflow.child import NodeProcess, NodeRequest

    waits = []
    for number in range(20):
        runs.ask(f"start{number}", 1).kill()  # writes the request; this process asks
        asked = json.loads((runs.folder / f"start{number}-1.json").read_text())["request"]
        start = time.time()
        result = NodeProcess(runs.settings, NodeRequest(**asked)).wait(lambda *_: None)
        waits.append(result.started - start)
    print(f"node start: median {sorted(waits)[10]:.3f} s, longest {max(waits):.3f} s")
    assert sorted(waits)[10] < 0.3
