"""A dict as the runner's config, and a component of the file's own."""

import datetime
import os

from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.airflow.airflow_runner import AirflowDAGRunner

AIRFLOW_CONFIG = {
    "schedule_interval": None,
    "start_date": datetime.datetime(2021, 1, 1),
    "catchup": False,
}
ROOT = os.path.join(os.environ["AIRFLOW_HOME"], "legacy_config_dict")


@component
def Count(
    limit: tfx.dsl.components.Parameter[int],
    total: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Integer],
) -> None:
    """Adds up the numbers below a limit."""
    total.value = sum(range(limit))


DAG = AirflowDAGRunner(AIRFLOW_CONFIG).run(
    pipeline.Pipeline(
        pipeline_name="legacy_config_dict",
        pipeline_root=ROOT,
        components=[Count(limit=5)],
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            os.path.join(ROOT, "metadata.db")
        ),
    )
)
