"""How tests execute legacy DAG files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tfx.orchestration import pipeline as pipeline_lib

from include.tfx_airflow.contract.legacy import LegacyDag, LegacyFile
from include.tfx_airflow.tfx_side.legacy import read_file
from include.tfx_airflow.tfx_side.legacy.stand_ins import StandIns
from tests.bundle import ROOT
from tests.tfx.legacy.dag_files import Read


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Executes a file as the process that compiles does, and forgets it afterwards."""
    monkeypatch.setenv("AIRFLOW_HOME", "/srv/airflow")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    placed = []

    def made(
        path: Path, working_folder: Path | str = "", **variables: str | None
    ) -> list[tuple[LegacyDag, pipeline_lib.Pipeline]]:
        file = LegacyFile(str(path), (str(path.parent),), variables, working_folder=str(working_folder))
        placed.append(StandIns(file))
        return read_file.read(file, placed[-1])

    yield made
    for stand_ins in reversed(placed):
        stand_ins.remove()
    assert not any(name.split(".")[0] == "airflow" for name in sys.modules)
