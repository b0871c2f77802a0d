"""Stands for `tfx.orchestration.airflow.airflow_dag_runner`: keeps pipelines and configs instead of making DAGs."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from tfx.orchestration import pipeline as pipeline_lib
from tfx.orchestration import tfx_runner
from tfx.orchestration.config import pipeline_config

from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.tfx_side.legacy.airflow_names import DAG
from include.tfx_airflow.tfx_side.legacy.refused import RefusedError

MODULE, OLD_MODULE = (
    "tfx.orchestration.airflow.airflow_dag_runner",
    "tfx.orchestration.airflow.airflow_runner",
)


@dataclasses.dataclass
class Made:
    """A pipeline that the file gave to a runner.

    Attributes:
      pipeline: The pipeline.
      dag: What the runner returned; its config is that of the file.
      config: The runner's config.
      line: Of the file, where it calls the runner or what calls it; 0 when a module does so that is being imported.
    """

    pipeline: pipeline_lib.Pipeline
    dag: DAG
    config: AirflowPipelineConfig
    line: int


class AirflowPipelineConfig(pipeline_config.PipelineConfig):
    """Stands for the config of that name."""

    def __init__(self, airflow_dag_config: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Takes arguments of Airflow's DAG, and those of PipelineConfig."""
        super().__init__(**kwargs)
        self.airflow_dag_config = airflow_dag_config or {}


def modules(file: LegacyFile, made: list[Made]) -> dict[str, ModuleType]:
    """The modules that stand for TFX's runner, under both its names.

    Args:
      file: The file that is executed.
      made: Each pipeline that a runner is given is added to it.
    """

    class AirflowDagRunner(tfx_runner.TfxRunner):
        """Stands for the runner of that name."""

        def __init__(self, config: Mapping[str, Any] | AirflowPipelineConfig | None = None) -> None:
            if not isinstance(config, AirflowPipelineConfig):
                config = AirflowPipelineConfig(airflow_dag_config=dict(config or {}))
            super().__init__(config)

        def run(self, tfx_pipeline: Any = None, *, pipeline: Any = None) -> DAG:
            """Keeps the pipeline, which is `pipeline` for older runners; returns what stands for its DAG."""
            tfx_pipeline = pipeline if tfx_pipeline is None else tfx_pipeline
            if not isinstance(tfx_pipeline, pipeline_lib.Pipeline):
                raise RefusedError(f"AirflowDagRunner.run() was given {tfx_pipeline!r}, not a TFX pipeline.")
            assert isinstance(self._config, AirflowPipelineConfig)
            dag = DAG.of_pipeline(tfx_pipeline.pipeline_info.pipeline_name, self._config.airflow_dag_config)
            made.append(Made(tfx_pipeline, dag, self._config, _line(file)))
            return dag

    found = {}
    for name, classes in (
        (MODULE, {"AirflowDagRunner": AirflowDagRunner}),
        (OLD_MODULE, {"AirflowDAGRunner": AirflowDagRunner}),
    ):
        found[name] = ModuleType(name)
        vars(found[name]).update({"AirflowPipelineConfig": AirflowPipelineConfig, **classes})
    return found


def _line(file: LegacyFile) -> int:
    frame = sys._getframe(1)
    # A module that it imports may import it back: that one has its code, and a name of its own.
    while frame and (frame.f_code.co_filename, frame.f_globals.get("__name__")) != (file.path, file.module):
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return 0  # what an import calls, the file does not
        frame = frame.f_back  # type: ignore[assignment]
    return frame.f_lineno if frame else 0
