"""The lane that all is measured by: TFX's LocalDagRunner in a process of its own.

Usage: python -m tests.benchmarks.local FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.workload import Place, nodes
from tests.bundle import ROOT


def run(python: str, place: Place) -> dict[str, Any]:
    """Runs the pipeline in the TFX interpreter of this bundle; wall, nodes and memory of the process."""
    from tests.benchmarks.memory import Memory

    place.clear()
    with Memory() as memory:
        began = time.time()
        done = subprocess.run(
            [python, "-m", "tests.benchmarks.local", place.folder],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wall = time.time() - began
    assert done.returncode == 0, done.stdout[-4000:]
    return {"wall": wall, "nodes": {n.task_id: n.seconds for n in nodes(place)}, "memory": memory.row()}


if __name__ == "__main__":
    from tfx import v1 as tfx

    from include.taxi.pipeline import create_pipeline

    place = Place(Path(sys.argv[1]))
    config = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(place.mlmd))
    tfx.orchestration.LocalDagRunner().run(
        create_pipeline(**place.arguments(), metadata_connection_config=config)
    )
