"""Chicago taxi: from raw trips to a pushed model, one Airflow task per TFX component."""

from datetime import datetime, timedelta

from airflow.sdk import Param

from include.taxi import hyperparameters
from include.tfx_airflow import AirflowDagRunner, AirflowPipelineConfig

dag = AirflowDagRunner(
    AirflowPipelineConfig(
        airflow_dag_config={
            "schedule": None,
            "start_date": datetime(2014, 1, 1),
            "max_active_runs": 1,
            "default_args": {"retries": 1, "retry_delay": timedelta(minutes=1)},  # a worker may vanish
            "tags": ["tfx", "taxi"],
        },
        runtime_parameters={"hyperparameters": Param({}, **hyperparameters.SCHEMA)},
    )
).run("include.taxi.pipeline:create_pipeline", serving_dir="${TFX_AIRFLOW_HOME}/serving/taxi")
