"""How long a node takes to begin: from the task's request to the node's work, its imports done.

Usage: python -m tests.benchmarks.starts FORKED NEW, in the environment of a task; prints RESULT and JSON.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import time

from include.tfx_airflow.airflow_side import compiled, mlmd_connection
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.node_process.node_process import NodeProcess
from include.tfx_airflow.settings import Settings, read_settings


def _start(settings: Settings, entry: compiled.Compiled, number: int) -> float:
    task = {"dag_id": "starts", "run_id": str(number), "task_id": "Write", "map_index": -1, "try_number": 1}
    request = NodeRequest(
        ir=str(entry.ir),
        node_id="Write",
        run=f"starts:{number}",
        task={**task, "first_try": 1, "key": f"starts:{number}:Write:-1:1"},
        parameters={},
        mlmd=mlmd_connection.address(settings),
        roots=settings.roots(),
    )
    asked = time.time()
    lines: list[str] = []
    result = NodeProcess(settings, request).wait(lambda _, line: lines.append(line))
    assert result.state in ("executed", "cached"), (result, lines)
    return result.started - asked


def main(forked: int, new: int) -> dict[str, list[float]]:
    """Starts nodes one after the other; returns seconds each."""
    settings = read_settings()
    entry = compiled.load("tests.pipelines.small:write_and_read", {"name": "starts"}, settings)
    _start(settings, entry, 0)  # the server is there now
    cold = dataclasses.replace(settings, node_server=False)
    return {
        "forked": [_start(settings, entry, 1 + number) for number in range(forked)],
        "new": [_start(cold, entry, 1 + forked + number) for number in range(new)],
    }


if __name__ == "__main__":
    logging.getLogger("include.tfx_airflow").setLevel(logging.WARNING)
    print("RESULT" + json.dumps(main(*map(int, sys.argv[1:]))))
