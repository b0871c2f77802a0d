"""DAG file of the stock lanes: the same pipeline through TFX's own AirflowDagRunner."""

import os
from datetime import datetime
from pathlib import Path

from tfx import v1 as tfx
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner, AirflowPipelineConfig

from include.taxi.pipeline import create_pipeline
from tests.benchmarks.workload import Place

place = Place(Path(os.environ["BENCH_PLACE"]))
DAG = AirflowDagRunner(
    AirflowPipelineConfig({"schedule": None, "start_date": datetime(2014, 1, 1), "catchup": False})
).run(
    create_pipeline(
        **place.arguments(),
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(place.mlmd)
        ),
    )
)
