"""Puts a run's values in place of the parameters of a pipeline's IR."""

from __future__ import annotations

from tfx.dsl.compiler import constants
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.pipeline import embedded, paths


def bind(pipeline: pipeline_pb2.Pipeline, request: NodeRequest) -> None:
    """Fills in, in place: run id, pipeline root and the node's RuntimeParameters.

    Raises:
      ManifestError: A parameter inside a text has no value, or a value makes a path relative.
    """
    given = {
        name: fingerprint.concrete(value, request.roots) if isinstance(value, str) else value
        for name, value in request.parameters.items()
    }
    embedded.fill_pipeline(pipeline, request.node_id, given)
    run = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: request.run}
    root = pipeline.runtime_spec.pipeline_root.runtime_parameter.default_value.string_value
    if not root:
        root = f"{request.roots['TFX_AIRFLOW_HOME']}/pipelines/{pipeline.pipeline_info.id}"
    # Separately, because a user's parameter may have the same name as the root's.
    runtime_parameter_utils.substitute_runtime_parameter(
        pipeline.runtime_spec, {**run, constants.PIPELINE_ROOT_PARAMETER_NAME: root}
    )
    runtime_parameter_utils.substitute_runtime_parameter(pipeline, {**given, **run})
    if folder := (request.legacy or {}).get("working_folder"):
        paths.make_absolute(pipeline, folder)
    paths.refuse_relative_values(pipeline, request.node_id)
