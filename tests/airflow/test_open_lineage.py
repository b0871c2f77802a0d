"""With Airflow's OpenLineage provider a pipeline's artifacts are datasets with facets; its file transport keeps the events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bundle import ROOT, STATE, Bundle

_PROVIDER = STATE / "openlineage"
ROWS = 60
# Airflow's own command twice, in one process: it takes longer to start than these runs. The events of each run end up in a
# file of their own.
_TWICE = """
import os, sys
from airflow.__main__ import main
dag_id, path, *names = sys.argv[1:]
for name in names:
    sys.argv = ["airflow", "dags", "test", dag_id]
    main()
    os.rename(path, name)
"""


def _events(bundle: Bundle, tmp_path: Path, dag_id: str) -> list[list[dict[str, Any]]]:
    """Runs a DAG twice with the provider; the events of each run in order."""
    if not (_PROVIDER / "openlineage").is_dir():
        pytest.skip("the OpenLineage provider needs Airflow on Python 3.11 or later")
    path, names = tmp_path / "events.json", [tmp_path / "first.json", tmp_path / "second.json"]
    transport = {"type": "file", "log_file_path": str(path), "append": True}
    done = bundle.run(
        *("python", "-c", _TWICE, dag_id, str(path), *map(str, names)),
        AIRFLOW__CORE__DAGS_FOLDER=bundle._only(dag_id),
        PYTHONPATH=f"{ROOT}:{_PROVIDER}",
        AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport),
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return [[json.loads(line) for line in name.read_text().splitlines()] for name in names]


def test_artifacts_are_datasets_that_connect_the_nodes(bundle: Bundle, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = [f"{number}.5,{number if number % 3 else ''},cash" for number in range(ROWS)]
    (data / "trips.csv").write_text("\n".join(["fare,tips,paid", *lines]) + "\n")
    bundle.write_dag("lineage", "tests.pipelines.data:create_pipeline", data_root=str(data), name="lineage")
    events, cached = _events(bundle, tmp_path, "lineage")
    done = {e["job"]["name"]: e for e in events if e["eventType"] == "COMPLETE"}
    [examples] = done["lineage.CsvExampleGen"]["outputs"]
    [read] = done["lineage.StatisticsGen"]["inputs"]
    [statistics] = done["lineage.StatisticsGen"]["outputs"]
    [schema] = done["lineage.SchemaGen"]["outputs"]

    def place(dataset: dict[str, Any]) -> tuple[str, str]:
        return dataset["namespace"], dataset["name"]

    assert place(examples) == place(read) and place(examples)[0] == "file"
    assert place(statistics) == place(done["lineage.SchemaGen"]["inputs"][0])
    assert examples["name"].endswith("/CsvExampleGen/examples")
    artifact = examples["facets"]["tfx_artifact"]
    assert artifact["type"] == "Examples" and artifact["uri"].startswith(examples["name"])
    assert examples["facets"]["version"]["datasetVersion"] == str(artifact["id"])
    assert examples["outputFacets"]["outputStatistics"]["rowCount"] == ROWS
    assert sum(artifact["facts"]["records"].values()) == ROWS
    fields = {field["name"]: field["type"] for field in schema["facets"]["schema"]["fields"]}
    assert fields == {"fare": "FLOAT", "tips": "INT", "paid": "BYTES"}
    quality = read["inputFacets"]["dataQualityMetrics"]
    assert quality["rowCount"] == ROWS
    fare, tips = quality["columnMetrics"]["fare"], quality["columnMetrics"]["tips"]
    assert (fare["min"], fare["max"], fare["count"], fare["nullCount"]) == (0.5, ROWS - 0.5, ROWS, 0)
    assert fare["sum"] == pytest.approx(sum(number + 0.5 for number in range(ROWS)))
    assert (tips["count"], tips["nullCount"]) == (ROWS * 2 // 3, ROWS // 3)
    assert "min" not in quality["columnMetrics"]["paid"]

    again = {e["job"]["name"]: e for e in cached if e["eventType"] == "COMPLETE"}
    assert place(again["lineage.CsvExampleGen"]["outputs"][0]) == place(examples)


def test_without_the_provider_nothing_is_described(bundle: Bundle) -> None:
    code = "from include.tfx_airflow.airflow_side import open_lineage; print(open_lineage.is_wanted())"
    assert bundle.python(code).strip().endswith("False")
