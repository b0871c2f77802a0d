"""Two DAGs in one file, made in a loop."""

from datetime import datetime

from airflow import DAG
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner, AirflowPipelineConfig


@component
def Name(
    region: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.String],
) -> None:
    """Names a region."""
    text.value = region


def make(region: str) -> DAG:
    """The DAG of a region."""
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=f"legacy_{region}", pipeline_root="", components=[Name(region=region)]
    )
    config = AirflowPipelineConfig(
        {"schedule_interval": "@once", "start_date": datetime(2021, 1, 1), "catchup": False}
    )
    return AirflowDagRunner(config).run(pipeline)


for one in ("north", "south"):
    globals()[f"dag_{one}"] = make(one)
