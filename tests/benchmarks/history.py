"""What a node costs after years of runs: `python -m tests.benchmarks.history SIDE STORE`, in the TFX interpreter.

`several STORE HOME RUNS` instead times runs of the bundle one after the other, see `year.py`.

SIDE is `bundle` or `local`, TFX's LocalDagRunner. Both run the pipeline of `tests/pipelines/history.py`, whose executors
do nothing, on a copy of the same store, and time each node from its driver's first question to the last word of its
publisher. Prints RESULT and JSON. `measure` does so for stores of different ages.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bundle import ROOT

RUNS = (0, 1_000, 5_000, 20_000)
# Of the pipeline's nodes the one without inputs, and those that are no Resolver.
SOURCE = "SpanExampleGen"
ORDINARY = {"Train": "one input", "Judge": "two inputs"}
# Spans of the store are turns of its pipeline: `_Run.span`.
_SPAN = 1_000_000


def _bundle(store: Path, folder: Path, span: int = _SPAN) -> dict[str, float]:
    from include.tfx_airflow.contract import identity
    from include.tfx_airflow.contract.node import NodeRequest
    from include.tfx_airflow.tfx_side.node import node
    from include.tfx_airflow.tfx_side.pipeline import ir
    from tests.pipelines import history
    from tests.tfx.conftest import ENVIRONMENT

    roots = {
        "BUNDLE_ROOT": f"{folder}/bundle",
        "TFX_AIRFLOW_HOME": f"{folder}/tfx",
        "TFX_PREFIX": sys.prefix,
    }
    pipeline = history.create_pipeline(span)
    path = folder / "pipeline.json"
    path.write_text(ir.compile_pipeline(pipeline, "m:f", "", roots, ENVIRONMENT)[1], encoding="utf-8")
    seconds: dict[str, float] = {}
    for component in pipeline.components:
        task = {"dag_id": history.NAME, "run_id": f"bench {span}", "task_id": component.id, "map_index": -1}
        task |= {"try_number": 1, "first_try": 1}
        request = NodeRequest(
            ir=str(path),
            node_id=component.id,
            run=identity.run_name(history.NAME, f"bench {span}"),
            task={**task, "key": identity.try_name(task, "")},
            parameters={},
            mlmd={"kind": "sqlite", "path": str(store)},
            roots=roots,
        )
        start = time.perf_counter()
        result = node.run(request)
        seconds[component.id] = time.perf_counter() - start
        assert result.state != "failed", result
    return seconds


def _local(store: Path, folder: Path) -> dict[str, float]:
    from tfx import v1 as tfx
    from tfx.orchestration.portable import launcher

    from tests.pipelines import history

    seconds: dict[str, float] = {}
    launch = launcher.Launcher.launch

    def timed(self: Any) -> Any:
        start = time.perf_counter()
        found = launch(self)
        seconds[self._pipeline_node.node_info.id] = time.perf_counter() - start
        return found

    launcher.Launcher.launch = timed
    config = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(store))
    tfx.orchestration.LocalDagRunner().run(
        history.create_pipeline(_SPAN, pipeline_root=str(folder), metadata_connection_config=config)
    )
    return seconds


def several(store: str, home: str, runs: int) -> list[dict[str, float]]:
    """Seconds by node of so many runs, one after the other, on a store that they are written into.

    Args:
      store: SQLite file.
      home: AIRFLOW_HOME, below which artifacts are.
      runs: How many.
    """
    return [_bundle(Path(store), Path(home), _SPAN + number) for number in range(runs)]


def main(side: str, store: str) -> dict[str, float]:
    """Seconds by node."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = folder / "metadata.db"
        if Path(store).exists():
            shutil.copy(store, copy)
            # The files were never there; a relative name says that they are elsewhere.
            with contextlib.closing(sqlite3.connect(copy)) as database, database:
                database.execute("update Artifact set uri = ltrim(uri, '/')")
        return {"bundle": _bundle, "local": _local}[side](copy, folder)


def measure(python: str, folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Seconds by number of runs, side and node; the stores of each age are made in the folder.

    Args:
      python: The TFX interpreter.
      folder: Empty.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for runs in RUNS:
        store = folder / str(runs) / "metadata.db"
        if runs:
            store.parent.mkdir(parents=True)
            _run(python, "tests.panel.scale", f"sqlite:///{store}", "--runs", str(runs))
        found[str(runs)] = {
            side: json.loads(
                _run(python, "tests.benchmarks.history", side, str(store)).rpartition("RESULT")[2]
            )
            for side in ("bundle", "local")
        }
    return found


def _run(python: str, *arguments: str) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-m", *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


if __name__ == "__main__":
    asked, *others = sys.argv[1:]
    done = several(*others[:2], int(others[2])) if asked == "several" else main(asked, *others)
    print("RESULT" + json.dumps(done))
