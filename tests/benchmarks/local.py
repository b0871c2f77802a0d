"""The lane that all is measured by: TFX's LocalDagRunner in a process of its own.

Usage: python -m tests.benchmarks.local FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.workload import Place
from tests.bundle import Bundle


def run(python: str, place: Place) -> dict[str, Any]:
    """Runs the pipeline in the TFX interpreter of this bundle; wall, nodes and memory of the process."""
    from tests.benchmarks.lane import timed  # not in the child, which has no psutil

    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [python, "-m", "tests.benchmarks.local", str(place.folder)]
    return timed(place, lambda: Bundle(place.folder, environment).run(*command))


if __name__ == "__main__":
    from tfx import v1 as tfx

    from include.taxi.pipeline import create_pipeline

    place = Place(Path(sys.argv[1]))
    config = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(place.mlmd))
    tfx.orchestration.LocalDagRunner().run(
        create_pipeline(**place.arguments(), metadata_connection_config=config)
    )
