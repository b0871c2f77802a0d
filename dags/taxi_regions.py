"""### One model per region

The same TFX pipeline several times in one run. Each copy reads only what it has made, and is compared with the last model
that it has blessed; none ever sees another's.

- `taxi_regions`: the regions are listed in this file, each as a **task group**
- `taxi_regions_mapped`: the regions are found in the run, and a **mapped task group** makes a copy for each; `copy`
  identifies them in the next run, when there may be other regions

Both take the 15,002 trips that come with TFX, split by where a trip began.
"""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, task, task_group

from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig
from include.tfx_airflow.settings import read_settings

PIPELINE = "include.taxi.regional:create_pipeline"
# Sides of Chicago, by the numbers of their community areas.
REGIONS = {"central": (8, 32, 33), "north": (5, 6, 7, 21, 22)}
DAG_OPTIONS = {
    "schedule": None,
    "start_date": datetime(2013, 1, 1),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {"retries": 1, "retry_delay": timedelta(minutes=1)},  # a worker may vanish
    "doc_md": __doc__,
    "tags": ["tfx", "taxi"],
}


@task
def split_trips(folder: str) -> list[dict[str, str]]:
    """Writes each region's trips to a CSV file of its own.

    Returns:
      The arguments of `train_one` for each region.
    """
    settings = read_settings()
    sample = "lib/python3*/site-packages/tfx/examples/chicago_taxi_pipeline/data/simple/data.csv"
    [source] = Path(settings.roots()["TFX_PREFIX"]).glob(sample)
    with open(source, newline="") as file:
        trips = list(csv.DictReader(file))
    found = []
    for region, areas in REGIONS.items():
        wanted = {str(area) for area in areas}
        rows = [trip for trip in trips if trip["pickup_community_area"] in wanted]
        path = Path(settings.home, "taxi", folder, region, "trips.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        print(f"{region}: {len(rows)} trips")
        serving = {"filesystem": {"base_directory": f"{settings.home}/serving/{folder}/{region}"}}
        found.append({"region": region, "trips": str(path.parent), "push_destination": json.dumps(serving)})
    return found


with DAG("taxi_regions", **DAG_OPTIONS) as by_groups:
    trips = split_trips("regions")
    for name in REGIONS:
        trips >> AirflowDagRunner().task_group(
            PIPELINE,
            group_id=name,
            trips=f"${{TFX_AIRFLOW_HOME}}/taxi/regions/{name}",
            serving_dir=f"${{TFX_AIRFLOW_HOME}}/serving/regions/{name}",
        )

with DAG("taxi_regions_mapped", **DAG_OPTIONS) as by_mapping:

    @task_group
    def train_one(region: str, trips: str, push_destination: str) -> None:
        """The pipeline for one region."""
        AirflowDagRunner(
            AirflowPipelineConfig(
                computed_parameters={"trips": trips, "push_destination": push_destination}, copy=region
            )
        ).task_group(PIPELINE, group_id="pipeline")

    train_one.expand_kwargs(split_trips("regions_mapped"))
