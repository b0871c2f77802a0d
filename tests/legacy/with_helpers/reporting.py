"""The DAG file; what it uses is in modules beside it."""

from steps import pipelines  # type: ignore[import-not-found]
from team_alerts import tell_the_team  # type: ignore[import-not-found]
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner, AirflowPipelineConfig

DAG = AirflowDagRunner(
    AirflowPipelineConfig(
        {
            "schedule_interval": None,
            "catchup": False,
            "default_args": {"on_failure_callback": tell_the_team},
        }
    )
).run(pipelines.create("legacy_with_helpers"))
