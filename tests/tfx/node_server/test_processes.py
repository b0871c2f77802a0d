"""Nodes whose code starts processes: nothing hangs, and nothing of the node's own is in the workers."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.node_process.node_process import NodeProcess
from include.tfx_airflow.settings import Settings
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from tests.pipelines import processes, small
from tests.server import Bench, is_alive, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
MakeRequest = Callable[..., NodeRequest]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A deployment with the TFX interpreter that runs this test."""
    tmp_path_factory.getbasetemp()  # while the folder of temporary files is still the system's
    folder = Path(tempfile.mkdtemp(prefix="w"))
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    made = Bench(folder, preload="include.tfx_airflow.tfx_side.node_server.preload", kill_grace=20.0)
    yield made
    made.stop()
    tempfile.tempdir = before
    shutil.rmtree(folder)


def _cold(bench: Bench) -> Settings:
    return dataclasses.replace(bench.settings, node_server=False)


def _run(settings: Settings, request: NodeRequest) -> tuple[NodeResult, list[str]]:
    lines: list[str] = []
    result = NodeProcess(settings, request).wait(lambda _, line: lines.append(line))
    return result, lines


def _found(result: NodeResult, lines: list[str]) -> list[str]:
    assert result.state == "executed", "\n".join([*lines[-30:], result.message])
    [artifact] = result.outputs["found"]
    return Path(artifact["uri"]).read_text().splitlines()


@pytest.mark.parametrize("way", processes.WAYS)
def test_node_may_start_processes_in_every_way(bench: Bench, make_request: MakeRequest, way: str) -> None:
    pipeline = processes.processes(way)
    assert _found(*_run(bench.settings, make_request(pipeline, "Starts"))) == [processes.WAYS[way][1]]


@pytest.mark.long
def test_node_in_a_new_process_may_as_well(bench: Bench, make_request: MakeRequest) -> None:
    pipeline = processes.processes("|".join(processes.WAYS))
    found = _found(*_run(_cold(bench), make_request(pipeline, "Starts")))
    assert dict(zip(processes.WAYS, found, strict=True)) == {
        way: right for way, (_, right) in processes.WAYS.items()
    }


# A new process does what a fork of the server does, 20 seconds later.
_new = pytest.param("new", marks=pytest.mark.long)


@pytest.fixture(params=["forked", _new])
def settings(bench: Bench, request: pytest.FixtureRequest) -> Settings:
    """Of a node that the server forks, and of one that is a new process."""
    return bench.settings if request.param == "forked" else _cold(bench)


def _failures(request: NodeRequest) -> list[str]:
    with mlmd_store.open_store(request.mlmd) as store:
        found = mlmd_store.tries_of(store, request.task)
    return [execution.custom_properties["failure"].string_value for execution in found]


def _working(settings: Settings, request: NodeRequest, pids: Path) -> tuple[NodeProcess, list[int]]:
    """Starts `processes.work`; returns it and the process ids of the node and its workers."""
    process = NodeProcess(settings, request)
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) >= 3, 120)
    return process, [int(word) for word in pids.read_text().split()]


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        *(("forked", how) for how in ("executor", "pool", "forkserver", "loky")),
        ("new", "pool"),
        *(pytest.param("new", how, marks=pytest.mark.long) for how in ("executor", "forkserver", "loky")),
    ],
    indirect=["settings"],
)
def test_killed_node_takes_its_workers_along(
    settings: Settings, make_request: MakeRequest, tmp_path: Path, how: str
) -> None:
    request = make_request(processes.work(how, str(tmp_path / "pids")), "Work")
    process, pids = _working(settings, request, tmp_path / "pids")
    process.kill()
    started = time.monotonic()
    result = process.wait(lambda *_: None)
    assert (result.state, _failures(request)) == ("failed", ["the task was killed"])
    assert time.monotonic() - started < settings.kill_grace
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_node_that_crashes_takes_its_workers_along(
    settings: Settings, make_request: MakeRequest, tmp_path: Path
) -> None:
    request = make_request(processes.work("pool", str(tmp_path / "pids")), "Work")
    process, pids = _working(settings, request, tmp_path / "pids")
    os.kill(pids[0], signal.SIGKILL)
    assert process.wait(lambda *_: None).state == "failed"
    assert _failures(request) == ["the node's process was killed"]
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_node_with_workers_notices_that_its_task_was_killed_hard(
    settings: Settings, make_request: MakeRequest, tmp_path: Path
) -> None:
    request = make_request(processes.work("pool", str(tmp_path / "pids")), "Work")
    (tmp_path / "asked.json").write_text(
        f'{{"settings": {json.dumps(dataclasses.asdict(settings))}, "request": {request.to_json()}}}'
    )
    head = f"import runpy, sys, tempfile; tempfile.tempdir = {tempfile.tempdir!r}; sys.argv = sys.argv[1:]"
    code = f"{head}; runpy.run_module('tests.asker', run_name='__main__')"
    asking = subprocess.Popen([sys.executable, "-c", code, "asker", str(tmp_path / "asked.json")])
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) >= 3, 120)
    asking.kill()
    asking.wait()
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()), 30)
    assert _failures(request) == ["the task was killed"]


def test_killed_node_has_the_whole_grace_to_record_its_failure(
    settings: Settings, make_request: MakeRequest, tmp_path: Path
) -> None:
    request = make_request(small.sleep(str(tmp_path / "pid")), "Sleep")
    process = NodeProcess(settings, request)
    wait_until((tmp_path / "pid").exists, 120)
    with open(request.mlmd["path"] + ".lock") as lock:  # as another node does that writes
        fcntl.flock(lock, fcntl.LOCK_EX)
        process.kill()
        threading.Timer(7, fcntl.flock, [lock, fcntl.LOCK_UN]).start()
        assert process.wait(lambda *_: None).state == "failed"
    with mlmd_store.open_store(request.mlmd) as store:
        [execution] = mlmd_store.tries_of(store, request.task)
    assert execution.custom_properties["failure"].string_value == "the task was killed"


def test_node_that_sits_in_c_code_records_its_failure_at_once(
    settings: Settings, make_request: MakeRequest, tmp_path: Path
) -> None:
    request = make_request(processes.work("c code", str(tmp_path / "pids")), "Work")
    process, _ = _working(settings, request, tmp_path / "pids")
    started = time.monotonic()
    process.kill()
    assert process.wait(lambda *_: None).state == "failed"
    assert time.monotonic() - started < settings.kill_grace
    assert _failures(request) == ["the task was killed"]
