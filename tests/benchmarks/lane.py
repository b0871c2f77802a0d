"""One run of a lane as a row of the results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

from tests.benchmarks.memory import Memory
from tests.benchmarks.workload import Place, nodes


def checked(done: CompletedProcess[str]) -> str:
    """The output of a command that must have succeeded."""
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def result(done: CompletedProcess[str]) -> Any:
    """What a module of this folder printed after RESULT."""
    return json.loads(checked(done).rpartition("RESULT")[2])


def timed(place: Place, run: Callable[[], CompletedProcess[str]]) -> dict[str, Any]:
    """Runs a command into an empty place: its wall time, nodes and memory."""
    place.clear()
    with Memory() as memory:
        began = time.time()
        checked(run())
        wall = time.time() - began
    return row(place, wall, memory)


def row(place: Place, wall: float, memory: Memory, queued: dict[str, float] | None = None) -> dict[str, Any]:
    """The row of a run that has ended.

    Args:
      place: Where it ran.
      wall: Its seconds.
      memory: Its peaks.
      queued: When Airflow queued each task, in seconds since the epoch, of a scheduled run.
    """
    found = nodes(place)
    values = {"wall": wall, "nodes": {n.task_id: n.seconds for n in found}, "memory": memory.row()}
    if queued:
        values["starts"] = {n.task_id: n.began - queued[n.task_id] for n in found}
    return values
