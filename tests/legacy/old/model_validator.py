"""For TFX 0.15: `ModelValidator`, which TFX still defines, and which fails in every run."""

from tfx.components import CsvExampleGen, ModelValidator
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import pipeline
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner
from tfx.types.standard_artifacts import Model

examples = CsvExampleGen(input_base="/srv/data")
model = Importer(source_uri="/srv/model", artifact_type=Model)
validator = ModelValidator(examples=examples.outputs["examples"], model=model.outputs["result"])
DAG = AirflowDagRunner({}).run(
    pipeline.Pipeline(pipeline_name="old", pipeline_root="/srv/old", components=[examples, model, validator])
)
