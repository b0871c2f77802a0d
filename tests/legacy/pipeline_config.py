"""An AirflowPipelineConfig, defaults for the tasks, and data that a run may choose."""

import os
from datetime import timedelta

from airflow.utils.dates import days_ago
from tfx.components import CsvExampleGen, SchemaGen, StatisticsGen
from tfx.orchestration import data_types, pipeline
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner, AirflowPipelineConfig

_HERE = os.path.dirname(os.path.abspath(__file__))
_airflow_config = {
    "schedule_interval": "@daily",
    "start_date": days_ago(1),
    "catchup": False,
    "max_active_runs": 1,
    "concurrency": 4,
    "default_args": {
        "owner": "ml-team",
        "retries": 1,
        "retry_delay": timedelta(seconds=1),
        "provide_context": True,
        "depends_on_past": False,
    },
}


def _create_pipeline(name: str, data_root: str) -> pipeline.Pipeline:
    data = data_types.RuntimeParameter("data_root", ptype=str, default=data_root)
    example_gen = CsvExampleGen(input_base=data)
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=True)
    return pipeline.Pipeline(
        pipeline_name=name,
        pipeline_root="",
        components=[example_gen, statistics_gen, schema_gen],
        enable_cache=True,
        beam_pipeline_args=["--direct_running_mode=in_memory"],
    )


DAG = AirflowDagRunner(AirflowPipelineConfig(airflow_dag_config=_airflow_config)).run(
    _create_pipeline("legacy_pipeline_config", os.path.join(_HERE, "data"))
)
