"""Legacy DAG files that tests write, and what reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tfx.orchestration import pipeline as pipeline_lib

from include.tfx_airflow.contract.legacy import LegacyDag

Read = Callable[..., list[tuple[LegacyDag, pipeline_lib.Pipeline]]]


def write(folder: Path, text: str, name: str = "flow.py") -> Path:
    """Writes a file that imports the runner and `small` in its first two lines."""
    path = folder / name
    path.write_text(
        "from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner, AirflowPipelineConfig\n"
        "from tests.pipelines import small\n" + text
    )
    return path
