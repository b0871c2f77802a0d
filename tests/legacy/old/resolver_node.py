"""For TFX 0.24: `ResolverNode`."""

from tfx.components import ResolverNode
from tfx.dsl.experimental import latest_blessed_model_resolver
from tfx.orchestration import pipeline
from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

DAG = AirflowDagRunner({}).run(
    pipeline.Pipeline(
        pipeline_name="old",
        pipeline_root="/srv/old",
        components=[
            ResolverNode(
                instance_name="latest_blessed",
                resolver_class=latest_blessed_model_resolver.LatestBlessedModelResolver,
                model=Channel(type=Model),
                model_blessing=Channel(type=ModelBlessing),
            )
        ],
    )
)
