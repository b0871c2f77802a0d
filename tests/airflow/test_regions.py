"""One model per region, by task groups and by mapping: copies of a pipeline on real trips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bundle import ROOT, Bundle

REGIONS = ("central", "north")
# In the DAG file: what takes the place of the pipeline, so that neither training nor evaluating is waited for.
_QUICK = {
    "include.taxi.regional:create_pipeline": "tests.pipelines.regional:create_pipeline",
    'DAG("taxi_regions_mapped"': 'DAG("quick_regions_mapped"',
}
_CONF = json.dumps({"train_args": {"num_steps": 60}})


def _run(bundle: Bundle, dag_id: str) -> tuple[str, dict[tuple[str, int], dict[str, Any]]]:
    """Runs a DAG; returns the run id, and what each task instance left in XCom."""
    text = (ROOT / "dags" / "taxi_regions.py").read_text()
    if dag_id == "quick_regions_mapped":
        for real, quick in _QUICK.items():
            assert text.count(real) == 1
            text = text.replace(real, quick)
    # One file has both DAGs.
    (bundle.folder / "dags" / f"{dag_id}.py").write_text(text)
    done = bundle.dags_test(dag_id, "--conf", _CONF)
    assert done.returncode == 0, done.stdout[-6000:]
    [(run_id,)] = bundle.airflow_rows(
        "select run_id from dag_run where dag_id = ? order by id desc limit 1", dag_id
    )
    rows = bundle.airflow_rows(
        "select task_id, map_index, value from xcom where dag_id = ? and run_id = ? and key = 'return_value'",
        dag_id,
        run_id,
    )
    return run_id, {(task_id, index): json.loads(value) for task_id, index, value in rows}


def _copies(dag_id: str, values: dict[tuple[str, int], Any]) -> dict[str, tuple[str, int]]:
    """Task group and map index of each region's copy of the pipeline."""
    if dag_id == "taxi_regions":
        return {region: (region, -1) for region in REGIONS}
    found = [item["region"] for item in values["split_trips", -1]]
    return {region: ("train_one.pipeline", index) for index, region in enumerate(found)}


# The pipeline trains and evaluates as the demo's does, which takes the time; what is of the regions takes none.
@pytest.mark.parametrize(
    ("dag_id", "runs"),
    [
        ("quick_regions_mapped", 2),
        pytest.param("taxi_regions_mapped", 1, marks=pytest.mark.long),
        pytest.param("taxi_regions", 2, marks=pytest.mark.long),
    ],
)
def test_each_region_has_a_model_of_its_own_trips_compared_with_its_own_last_one(
    bundle: Bundle, dag_id: str, runs: int
) -> None:
    models: dict[str, list[int]] = {}
    for number in range(runs):
        _, values = _run(bundle, dag_id)
        copies = _copies(dag_id, values)
        assert set(copies) == set(REGIONS)

        def of(region: str, node: str) -> dict[str, Any]:
            group, index = copies[region]  # noqa: B023
            return values[f"{group}.{node}", index]  # noqa: B023

        for region in REGIONS:
            trips = Path(values["split_trips", -1][REGIONS.index(region)]["trips"], "trips.csv")
            rows = len(trips.read_text().splitlines()) - 1
            assert sum(of(region, "CsvExampleGen")["summary"]["records"].values()) == rows
            assert of(region, "Evaluator")["summary"]["blessed"] is True
            assert f"/{region}/" in of(region, "Pusher")["summary"]["pushed"]
            [model] = of(region, "Trainer")["outputs"]["model"]
            baseline = of(region, "baseline")["outputs"].get("model", [])
            # In the first run there is none; in the second it is this region's.
            assert [artifact["id"] for artifact in baseline] == models.get(region, [])[-1:], (region, number)
            models.setdefault(region, []).append(model["id"])
    assert len({ids[0] for ids in models.values()}) == len(REGIONS)
