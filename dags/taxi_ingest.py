"""### Raw taxi trips become monthly spans

`partition` is a Beam batch job: it reads raw trips, CSV files with a header below `<home>/taxi/raw`, sorts them by month and writes each month below `<home>/taxi/spans` as a
version with a completion marker, written last. A month whose rows have not changed is left alone, so repeating a delivery
changes nothing. Unusable rows go to `<home>/taxi/bad_rows`, each with its reason; the log ends with Beam's counters.

`announce` emits an event of asset `taxi_spans` for each new month, with the month as its partition: a DAG with
`schedule=PartitionedAssetTimetable(assets=Asset("taxi_spans"))` gets a run per month. If nothing is new, it is skipped.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Asset, Param, task
from airflow.sdk.exceptions import AirflowSkipException

from include.tfx_airflow.airflow_side import object_store
from include.tfx_airflow.airflow_side.beam import BeamProgramOperator, files_param, runner_param
from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.contract.spans import MARKER
from include.tfx_airflow.settings import read_settings

spans = Asset("taxi_spans")
DATA = "${TFX_AIRFLOW_HOME}/taxi"  # a folder, or an address such as s3://bucket/taxi
RAW = f"{DATA}/raw"

with DAG(
    "taxi_ingest",
    schedule=None,
    start_date=datetime(2014, 1, 1),
    catchup=False,
    max_active_runs=1,  # two jobs at once would choose the same versions
    doc_md=__doc__,
    tags=["beam", "taxi"],
    params={
        "raw": files_param(RAW, "the 15,002 trips that come with TFX."),
        "shards": Param(1, type="integer", minimum=1, description="Files per month, at most."),
        "runner": runner_param("in_memory", "processes", "flink", "spark"),
    },
) as dag:
    partition = BeamProgramOperator(
        task_id="partition",
        module="include.taxi.ingest",
        runner="{{ params.runner }}",
        pipeline_options={
            "raw_folder": RAW,
            "raw": "{{ params.raw or '' }}",
            "root": DATA,
            "delivery": "{{ run_id }}",
            "shards": "{{ params.shards }}",
        },
    )

    @task(outlets=[spans])
    def announce(**context: Any) -> None:
        """Emits an event for each month that this run delivered, or that an earlier run delivered without announcing it."""
        settings = read_settings()
        root = fingerprint.concrete(f"{DATA}/spans", settings.roots())
        files = object_store.file_system(root, settings)
        found: dict[str, dict[str, Any]] = {}
        for path in files.glob(f"{root}/*/v[0-9]*/{MARKER}"):
            marker = {"rows": None, "delivery": None, **json.loads(files.cat_file(path) or "{}")}
            span, name, _ = path.split("/")[-3:]
            if not (number := re.fullmatch(r"v(\d+)", name)):
                continue  # a folder of somebody's own, such as v2.bad
            version = int(number[1])
            if version >= found.get(span, {"version": 0})["version"]:
                found[span] = {
                    "version": version,
                    "rows": marker["rows"],
                    "path": f"{root}/{span}/{name}",
                    "delivery": marker["delivery"],
                }
        announced = context["asset_state_store"].get("versions") or {}
        new = {
            span: {key: facts[key] for key in ("version", "rows", "path")}
            for span, facts in sorted(found.items())
            if facts["delivery"] == context["run_id"] or announced.get(span) != facts["version"]
        }
        if not new:
            raise AirflowSkipException(f"None of the {len(found)} months is new.")
        for span, facts in new.items():
            print(f"{span}: version {facts['version']}, {facts['rows']} rows, {facts['path']}")
        event = context["outlet_events"][spans]
        event.extra = new  # the same for all partitions of a task
        event.partition_keys = list(
            new
        )  # not add_partitions(): that is a set, and the runs would come in any order
        context["asset_state_store"].set(
            "versions", {**announced, **{s: f["version"] for s, f in new.items()}}
        )

    partition >> announce()
