"""Runs one node of one run with TFX's own launcher: driver, executor, publisher.

This follows `tfx/orchestration/local/local_dag_runner.py` and adds what Airflow needs: every try is an
execution of its own (`attempts.py`), a cleared task really runs again, and a `NodeResult` says how the
node ended.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
from collections.abc import Callable
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import placeholder_utils
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import execution_publish_utils
from tfx.orchestration.portable.mlmd import context_lib
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract import identity
from include.tfx_airflow.contract.beam_runner import BeamTarget
from include.tfx_airflow.contract.errors import ManifestError
from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.contract.object_store import ObjectStoreAccess
from include.tfx_airflow.tfx_side import compat
from include.tfx_airflow.tfx_side.mlmd import schema
from include.tfx_airflow.tfx_side.node import (
    attempts,
    beam_executor,
    beam_work,
    code_version,
    home_mark,
    input_resolution,
    launch,
    lineage_facts,
    outputs,
    user_code,
    why_executed,
)
from include.tfx_airflow.tfx_side.object_store import tfx_files
from include.tfx_airflow.tfx_side.object_store.staging import Staging, reads_directly
from include.tfx_airflow.tfx_side.patches import applied
from include.tfx_airflow.tfx_side.pipeline import binding, ir, sql_slices

log = logging.getLogger(__name__)

_Execution = metadata_store_pb2.Execution


def run(request: NodeRequest, given_up: threading.Event | None = None) -> NodeResult:
    """Runs the node of the request.

    Args:
      request: What to run.
      given_up: Set by another thread, which then ends this process, when the result is no longer wanted.

    Returns:
      The result; a node that failed without an exception (inputs that cannot be resolved) has state
      `failed`.

    Raises:
      Exception: Whatever the node's own code raised; MLMD says FAILED by then.
      ManifestError: The IR has no such node, or a parameter without a value.
      SettingsError: `home` is another machine's own.
      MlmdError: The store cannot be used.
      ObjectStoreError: Artifacts cannot be read or written.
    """
    with contextlib.ExitStack() as ended:
        return _run(request, given_up or threading.Event(), ended)


def _run(request: NodeRequest, given_up: threading.Event, ended: contextlib.ExitStack) -> NodeResult:
    with open(request.ir, encoding="utf-8") as file:
        pipeline = ir.read_ir(file.read(), request.roots)
    binding.bind(pipeline, request)
    compat.keep_beam_in_this_process()
    node = _node(pipeline, request)
    sql_slices.refuse(node)  # again: it may be a parameter of the run
    deployment = runner_utils.extract_local_deployment_config(pipeline)
    executor_spec = runner_utils.extract_executor_spec(deployment, request.node_id)
    target = BeamTarget(**request.beam) if request.beam else None
    root = pipeline.runtime_spec.pipeline_root.field_value.string_value
    staging = None
    if request.object_store and not reads_directly(executor_spec, target.of.kind if target else "", root):
        tfx_files.register()
        access = ObjectStoreAccess(**request.object_store)
        staging = ended.enter_context(contextlib.closing(Staging(access)))
    version = _code_version(request, node, executor_spec)
    connection = launch.LockedMetadata(request.mlmd, identity.tries_name(request.task))
    schema.check(request.mlmd)
    uses_cache = node.execution_options.caching_options.enable_cache
    # In this order: waiting for an earlier attempt must not keep others from registering types.
    with connection as handle, schema.checked(request.mlmd):
        home_mark.check(handle.store, request)
        earlier_tries = attempts.prepare(handle, pipeline, node, request)
    only_logged = _OnlyLogged()
    logging.getLogger("absl").addFilter(only_logged)
    try:
        try:
            node_launcher = launch.Launcher(
                pipeline_node=node,
                mlmd_connection=connection,
                pipeline_info=pipeline.pipeline_info,
                pipeline_runtime_spec=pipeline.runtime_spec,
                executor_spec=executor_spec,
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, request.node_id),
                custom_executor_operators=beam_executor.operators(target),
            )
        except Exception:
            # The executor's module cannot be imported: before TFX has registered anything.
            with connection as handle:
                _register_failure(handle, node)
            raise
        node_launcher.given_up = given_up
        node_launcher.staging = staging
        node_launcher.earlier_tries = earlier_tries
        node_launcher.code_version = version
        node_launcher.beam_runner = target.name if target else ""
        if request.library_patches:
            node_launcher.patches = applied.PATCHES
        if not node.execution_options.caching_options.enable_cache:
            node_launcher.without_cache = (
                "its task was cleared" if uses_cache else "the cache is off for this node"
            )
        with input_resolution.from_database(node, request.mlmd):
            info = node_launcher.launch()
    finally:
        logging.getLogger("absl").removeFilter(only_logged)
    if info is None or not info.execution_id:
        return NodeResult("skipped", message=only_logged.why_skipped or _condition(node))
    with connection as handle:
        result = _result(handle.store, info.execution_id, staging.local if staging else str)
        if request.lineage and result.state != "failed":
            try:
                found = lineage_facts.describe(
                    handle.store, info.execution_id, result.outputs, result.summary
                )
                result.lineage.update(found)
            except Exception:  # a catalogue is no reason to fail
                log.warning("What the node read and made cannot be described for OpenLineage.", exc_info=True)
    if target and result.state == "cached" and request.task["try_number"] > 1:
        beam_executor.cancel_left(target, request.ir, request.node_id)
    if result.summary.get("infra_blessed") is False and only_logged.why_not_blessed:
        result.summary["infra_failure"] = only_logged.why_not_blessed
    return result


def _code_version(
    request: NodeRequest, node: pipeline_pb2.PipelineNode, executor_spec: Any
) -> code_version.CodeVersion | None:
    """Makes the user's code importable; tells which it is, or None for a node without any."""
    legacy_file = LegacyFile.of(request.legacy) if request.legacy else None
    code = user_code.prepare(node, executor_spec, user_code.folders_of(request.roots), legacy_file)
    if legacy_file:
        from include.tfx_airflow.tfx_side.legacy.stand_ins import StandIns

        StandIns(legacy_file)
    if not code:
        return None
    return code_version.CodeVersion(code, request.roots["BUNDLE_ROOT"], request.bundle_version)


def _condition(node: pipeline_pb2.PipelineNode) -> str:
    """Why a node without a SkipSignal was skipped."""
    conditions = [
        placeholder_utils.debug_str(condition.placeholder_expression)
        for _, condition in sorted(node.inputs.conditionals.items())
    ]
    return f"its Cond is false: {' and '.join(conditions)}" if conditions else "there is nothing to work on"


def _register_failure(handle: metadata.Metadata, node: pipeline_pb2.PipelineNode) -> None:
    contexts = context_lib.prepare_contexts(handle, node.contexts)
    execution = execution_publish_utils.register_execution(handle, node.node_info.type, contexts)
    execution_publish_utils.publish_failed_execution(handle, contexts, execution.id)


class _OnlyLogged(logging.Filter):
    """Picks up what TFX reports only in its log.

    Attributes:
      why_skipped: Text of a SkipSignal.
      why_not_blessed: Last error of InfraValidator's tries.
    """

    why_skipped = why_not_blessed = ""

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args
        if record.msg == "Input resolution skipped; reason = %s" and isinstance(arguments, tuple):
            self.why_skipped = str(*arguments)
        if record.msg == "Infra validation (attempt %d/%d) failed." and record.exc_info:
            error = record.exc_info[1]
            self.why_not_blessed = f"{type(error).__name__}: {error}"
        return True


def _node(pipeline: pipeline_pb2.Pipeline, request: NodeRequest) -> pipeline_pb2.PipelineNode:
    for entry in pipeline.nodes:
        if entry.pipeline_node.node_info.id == request.node_id:
            node = entry.pipeline_node
            break
    else:
        known = [entry.pipeline_node.node_info.id for entry in pipeline.nodes]
        raise ManifestError(f"{request.ir!r} has no node {request.node_id!r}; its nodes are {known}.")
    for key, value in node.parameters.parameters.items():
        if value.HasField("runtime_parameter"):
            raise ManifestError(
                f"parameter {value.runtime_parameter.name!r} ({key!r} of {request.node_id!r}) has no value; "
                "enter one in the trigger form, or give a default in the pipeline or in AirflowPipelineConfig."
            )
    return node


def _result(store: Any, execution_id: int, local: Callable[[str], str]) -> NodeResult:
    [execution] = store.get_executions_by_id([execution_id])
    if not attempts.succeeded(execution):
        return NodeResult("failed", execution_id, message=_failure(execution))
    made, summary = outputs.describe(store, execution_id, local)
    if execution.last_known_state != _Execution.CACHED:
        work = beam_work.of_text(execution.custom_properties[beam_work.PROPERTY].string_value)
        return NodeResult("executed", execution_id, made, summary, beam=work)
    by = why_executed.computed_by(store, execution_id)
    if by:
        log.info("From the cache: computed by execution %d of run %r.", by["execution"], by["run"])
    return NodeResult("cached", execution_id, made, {**summary, "computed_by": by})


def _failure(execution: metadata_store_pb2.Execution) -> str:
    """Why TFX itself marked an execution FAILED: it stores an ExecutionResult proto as JSON."""
    text = execution.custom_properties["__execution_result__"].string_value
    try:
        message = json.loads(text)["resultMessage"]
    except (ValueError, KeyError, TypeError):
        return text or "TFX gave no reason"
    # TFX joins the lines of a traceback, which have their newlines already, with newlines.
    return re.sub(r"\n\n+", "\n", message).strip()
