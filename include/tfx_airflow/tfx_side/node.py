"""One node of one run through TFX's own launcher: driver, executor, publisher.

The recipe is that of `tfx/orchestration/local/local_dag_runner.py`; added is what Airflow needs:
every attempt is an execution of its own, inputs come from the latest attempt upstream, a cleared
task really runs again, and what became of the node is said in a `NodeResult`.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import threading
from typing import Any

from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import execution_publish_utils, launcher
from tfx.orchestration.portable.mlmd import common_utils, context_lib
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.child import NodeRequest, NodeResult
from include.tfx_airflow.errors import ManifestError
from include.tfx_airflow.tfx_side import binding, ir, mlmd, outputs, schema, user_code

log = logging.getLogger(__name__)

_Execution = metadata_store_pb2.Execution
_GONE = (errors.InternalError, errors.UnavailableError, errors.DeadlineExceededError)


class LockedMetadata(metadata.Metadata):
    """TFX's store handle; entering it takes the lock of a SQLite store (see `mlmd.StoreLock`).

    The store must have been checked (`schema.checked`). A server that goes away in the block ends the
    block with one clear MlmdError: ml_metadata's says nothing, and a second one crashes the process.
    """

    def __init__(self, address: dict[str, Any]):
        super().__init__(mlmd.connection_config(address))
        self._address = address
        self._lock = mlmd.StoreLock(address)

    def __enter__(self) -> LockedMetadata:
        self._lock.acquire()
        try:
            if not self._users:  # not TFX's own way, which tries for ten seconds whatever the error
                self._store = mlmd.connect(self._address)
            self._users += 1
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *arguments: Any) -> None:
        try:
            super().__exit__(*arguments)
        finally:
            self._lock.release()
        if isinstance(error := arguments[1], _GONE):
            raise mlmd.lost(self._address, error) from None


class _Launcher(launcher.Launcher):
    """TFX's launcher, which publishes only what is still asked for.

    Attributes:
      given_up: Set when the asking task is dead: its retry may be at work by now.
    """

    given_up: threading.Event

    def _publish_successful_execution(self, execution_id: int, *arguments: Any) -> None:
        with self._mlmd_connection as handle:
            [execution] = handle.store.get_executions_by_id([execution_id])
            if execution.last_known_state == _Execution.FAILED:
                raise RuntimeError(f"a later attempt has taken over: execution {execution_id} is FAILED.")
            if not self.given_up.is_set():
                super()._publish_successful_execution(execution_id, *arguments)
                return
        threading.Event().wait()  # until the thread that records the failure has ended this process


def run(request: NodeRequest, given_up: threading.Event | None = None) -> NodeResult:
    """Runs the node of the request.

    Args:
      request: What to run.
      given_up: Set, from another thread that ends this process, when nobody wants the result any more.

    Returns:
      The result; a node that failed without an exception (inputs that cannot be resolved) has state
      `failed`.

    Raises:
      Exception: Whatever the node's own code raised; MLMD says FAILED by then.
      ManifestError: The IR has no such node, or a parameter without a value.
      MlmdError: The store cannot be used.
    """
    with open(request.ir, encoding="utf-8") as file:
        pipeline = ir.read_ir(file.read(), request.roots)
    binding.bind(pipeline, request)
    node = _node(pipeline, request)
    deployment = runner_utils.extract_local_deployment_config(pipeline)
    executor_spec = runner_utils.extract_executor_spec(deployment, request.node_id)
    user_code.prepare(node, executor_spec, user_code.folders_of(request.roots))

    connection = LockedMetadata(request.mlmd)
    with schema.checked(request.mlmd), connection as handle:
        _prepare_attempt(handle, pipeline, node, request)
    reason = _SkipReason()
    logging.getLogger("absl").addFilter(reason)
    try:
        try:
            node_launcher = _Launcher(
                pipeline_node=node,
                mlmd_connection=connection,
                pipeline_info=pipeline.pipeline_info,
                pipeline_runtime_spec=pipeline.runtime_spec,
                executor_spec=executor_spec,
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, request.node_id),
            )
        except Exception:
            # The executor's module cannot be imported: before TFX has registered anything.
            with connection as handle:
                _register_failure(handle, node)
            raise
        node_launcher.given_up = given_up or threading.Event()
        info = node_launcher.launch()
    finally:
        logging.getLogger("absl").removeFilter(reason)
    if info is None or not info.execution_id:
        return NodeResult(
            "skipped", message=reason.text or "its Cond is false, or there is nothing to work on"
        )
    with connection as handle:
        return _result(handle.store, info.execution_id)


def _register_failure(handle: metadata.Metadata, node: pipeline_pb2.PipelineNode) -> None:
    contexts = context_lib.prepare_contexts(handle, node.contexts)
    execution = execution_publish_utils.register_execution(handle, node.node_info.type, contexts)
    execution_publish_utils.publish_failed_execution(handle, contexts, execution.id)


class _SkipReason(logging.Filter):
    """Picks up why TFX skipped a node: it tells nobody but the log."""

    text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg == "Input resolution skipped; reason = %s" and record.args:
            self.text = str(record.args[0])
        return True


def _node(pipeline: pipeline_pb2.Pipeline, request: NodeRequest) -> pipeline_pb2.PipelineNode:
    for entry in pipeline.nodes:
        if entry.pipeline_node.node_info.id == request.node_id:
            node = entry.pipeline_node
            break
    else:
        known = [entry.pipeline_node.node_info.id for entry in pipeline.nodes]
        raise ManifestError(f"{request.ir!r} has no node {request.node_id!r}; it has {known}.")
    for key, value in node.parameters.parameters.items():
        if value.HasField("runtime_parameter"):
            raise ManifestError(
                f"parameter {value.runtime_parameter.name!r} ({key!r} of {request.node_id!r}) has no value; "
                "give it in the trigger form, or a default in the pipeline or in AirflowPipelineConfig."
            )
    return node


def _prepare_attempt(
    handle: metadata.Metadata,
    pipeline: pipeline_pb2.Pipeline,
    node: pipeline_pb2.PipelineNode,
    request: NodeRequest,
) -> None:
    """Makes this attempt an execution of its own, fed by the latest attempts upstream."""
    store = handle.store
    name = f"{pipeline.pipeline_info.id}.{request.node_id}"
    mlmd.retried(
        lambda: mlmd.fail_unfinished(store, request.run, name, "its process died; a later attempt found it")
    )
    _decide_on_cache(store, node, request, name)
    for spec in node.inputs.inputs.values():
        for channel in spec.channels:
            _pin_to_latest_attempt(store, pipeline, channel, request.run)
    # TFX looks for an earlier execution in all contexts of the node and takes it up again, with its
    # old inputs, or leaves at once when it succeeded. This context makes sure that it finds none.
    context = node.contexts.contexts.add()
    context.type.name = mlmd.TASK_CONTEXT
    context.name.field_value.string_value = request.task["key"]
    for key in ("dag_id", "run_id", "task_id", "map_index", "try_number"):
        value = request.task[key]
        integer = isinstance(value, int)
        context.type.properties[key] = metadata_store_pb2.INT if integer else metadata_store_pb2.STRING
        field = context.properties[key].field_value
        if integer:
            field.int_value = value
        else:
            field.string_value = value
    # Two nodes that start together create the same types and contexts: here it can be tried again,
    # in the middle of the launcher it cannot.
    mlmd.retried(lambda: context_lib.prepare_contexts(handle, node.contexts))
    types = [
        node.node_info.type,
        metadata_store_pb2.ContextType(name=context_lib.CONTEXT_TYPE_EXECUTION_CACHE),
        *(output.artifact_spec.type for output in node.outputs.outputs.values()),
    ]
    for metadata_type in types:
        mlmd.retried(functools.partial(common_utils.register_type_if_not_exist, handle, metadata_type))


def _decide_on_cache(store: Any, node: pipeline_pb2.PipelineNode, request: NodeRequest, name: str) -> None:
    """A cleared task runs again without cache; a retry takes what an earlier try of it has finished.

    A backfill clears whole runs, to bring them up to date: there the pipeline's own setting stays.
    """
    first, this = request.task["first_try"], request.task["try_number"]
    tries = [
        context.properties["try_number"].int_value
        for execution in mlmd.executions_of(store, request.run, name)
        if _succeeded(execution)
        for context in _task_contexts(store, execution)
    ]
    if any(first <= earlier < this for earlier in tries):
        log.info("An earlier try of this task finished the node and died afterwards: its outputs serve.")
        node.execution_options.caching_options.enable_cache = True
    elif request.task.get("backfill"):
        return
    elif any(earlier < first for earlier in tries):
        log.info("This task was cleared after it had finished: the node runs again, without cache.")
        node.execution_options.caching_options.enable_cache = False


def _pin_to_latest_attempt(
    store: Any, pipeline: pipeline_pb2.Pipeline, channel: pipeline_pb2.InputSpec.Channel, run: str
) -> None:
    """Lets a channel from this run see only the latest successful attempt of its producer.

    Otherwise a cleared producer has two live outputs in the run, and its consumers fail or read the old.
    """
    queries = channel.context_queries
    if not any(q.type.name == "pipeline_run" and q.name.field_value.string_value == run for q in queries):
        return
    producer = f"{pipeline.pipeline_info.id}.{channel.producer_node_query.id}"
    done = [e for e in mlmd.executions_of(store, run, producer) if _succeeded(e)]
    if not done:
        return
    for context in _task_contexts(store, done[-1]):
        query = queries.add()
        query.type.name = mlmd.TASK_CONTEXT
        query.name.field_value.string_value = context.name


def _task_contexts(store: Any, execution: metadata_store_pb2.Execution) -> list[metadata_store_pb2.Context]:
    return [c for c in store.get_contexts_by_execution(execution.id) if c.type == mlmd.TASK_CONTEXT]


def _succeeded(execution: metadata_store_pb2.Execution) -> bool:
    return execution.last_known_state in (_Execution.COMPLETE, _Execution.CACHED)


def _result(store: Any, execution_id: int) -> NodeResult:
    [execution] = store.get_executions_by_id([execution_id])
    if not _succeeded(execution):
        return NodeResult("failed", execution_id, message=_failure(execution))
    made, summary = outputs.describe(store, execution_id)
    state = "cached" if execution.last_known_state == _Execution.CACHED else "executed"
    return NodeResult(state, execution_id, made, summary)


def _failure(execution: metadata_store_pb2.Execution) -> str:
    """Why TFX itself gave an execution up: it stores an ExecutionResult proto as JSON."""
    text = execution.custom_properties["__execution_result__"].string_value
    try:
        message = json.loads(text)["resultMessage"]
    except (ValueError, KeyError, TypeError):
        return text or "TFX gave no reason"
    # TFX joins the lines of a traceback, which have their newlines already, with newlines.
    return re.sub(r"\n\n+", "\n", message).strip()
