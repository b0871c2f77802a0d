"""A pipeline that is made at module level, Airflow Variables, a template, and an attribute of the DAG."""

import pendulum
from airflow.models import Variable
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver  # noqa: F401 - as such files do
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.airflow import airflow_dag_runner
from tfx.types.standard_artifacts import String
from tfx.v1.dsl.components import OutputArtifact, Parameter

try:
    settings = Variable.get("legacy_settings", deserialize_json=True)
except KeyError:
    settings = {"greeting": "hello"}
greeting = settings["greeting"]
audience = Variable.get("legacy_audience", default_var="world")


@component
def Greet(
    words: Parameter[str],
    day: Parameter[str],
    text: OutputArtifact[String],
) -> None:
    """Says words and a day."""
    text.value = f"{words} on {day}"


greet = Greet(words=f"{greeting} {audience}", day="{{ ds }}")
pipeline = tfx_pipeline.Pipeline(
    pipeline_name="legacy_module_level", pipeline_root="", components=[greet], enable_cache=False
)
config = airflow_dag_runner.AirflowPipelineConfig(
    {
        "schedule_interval": "0 6 * * *",
        "start_date": pendulum.datetime(2021, 6, 1, tz="Europe/Amsterdam"),
        "catchup": False,
        "tags": ["legacy"],
    }
)
runner = airflow_dag_runner.AirflowDagRunner(config)
dag = runner.run(pipeline)
dag.doc_md = "Greets at **six**."
