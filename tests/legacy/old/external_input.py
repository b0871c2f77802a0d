"""For TFX 0.21: `external_input`."""

from tfx.components import CsvExampleGen
from tfx.orchestration import pipeline
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner
from tfx.utils.dsl_utils import external_input

DAG = AirflowDagRunner({}).run(
    pipeline.Pipeline(
        pipeline_name="old",
        pipeline_root="/srv/old",
        components=[CsvExampleGen(input=external_input("/srv/data"))],
    )
)
