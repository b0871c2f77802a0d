"""TFX's tasks beside one of Airflow's own."""

from airflow.operators.bash_operator import BashOperator
from tfx.components import CsvExampleGen
from tfx.orchestration import pipeline
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner

dag = AirflowDagRunner({"schedule_interval": "@daily"}).run(
    pipeline.Pipeline(
        pipeline_name="old",
        pipeline_root="/srv/old",
        components=[CsvExampleGen(input_base="/srv/data")],
    )
)
tell = BashOperator(task_id="tell", bash_command="echo done", dag=dag)
