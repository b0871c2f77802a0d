"""Makes each try of an Airflow task instance an execution of its own, with the inputs that belong to it.

TFX knows a node by pipeline, run and node id. That is not enough for Airflow, where one run may contain
a pipeline several times (task groups, mapped task groups) and each task may be retried and cleared. Here
contexts tell the tries apart (`identity.py`), and an input from this run is the output of the latest try of the
producer in the same copy of the pipeline.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable.mlmd import common_utils, context_lib
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract import identity, mlmd_facts
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.mlmd.metadata_store import SUCCESSFUL
from include.tfx_airflow.tfx_side.pipeline import skippable

log = logging.getLogger(__name__)

# Name of a context that there is not.
_NO_TRY = "none"


def succeeded(execution: metadata_store_pb2.Execution) -> bool:
    """Whether an execution has usable outputs."""
    return execution.last_known_state in SUCCESSFUL


def prepare(
    handle: metadata.Metadata,
    pipeline: pipeline_pb2.Pipeline,
    node: pipeline_pb2.PipelineNode,
    request: NodeRequest,
) -> frozenset[int] | None:
    """Makes this try an execution of its own, with inputs from the tries that belong to it.

    Args:
      handle: Open store, in which nothing else registers types meanwhile.
      pipeline: IR with the run's parameters.
      node: The node to run; changed in place: contexts, inputs, cache option.
      request: What Airflow asked for.

    Returns:
      Executions that alone may serve as this one's cache; None: any that TFX finds.
    """
    store = handle.store
    mlmd_store.retried(
        lambda: mlmd_store.fail_unfinished(
            store, request.task, "its process died; a later attempt found this"
        )
    )
    earlier_tries = _decide_on_cache(store, node, request)
    for context in node.contexts.contexts:
        _bound(context.name)
    for spec in node.inputs.inputs.values():
        for channel in spec.channels:
            for query in channel.context_queries:
                _bound(query.name)
            _keep_to_this_copy(pipeline, channel, request)
    _add_contexts(node, request)
    # Two nodes that start together create the same types and contexts: here that can be retried,
    # in the middle of the launcher it cannot.
    mlmd_store.retried(lambda: context_lib.prepare_contexts(handle, node.contexts))
    types = [
        node.node_info.type,
        metadata_store_pb2.ContextType(name=context_lib.CONTEXT_TYPE_EXECUTION_CACHE),
        *(output.artifact_spec.type for output in node.outputs.outputs.values()),
    ]
    for metadata_type in types:
        mlmd_store.retried(functools.partial(common_utils.register_type_if_not_exist, handle, metadata_type))
    return earlier_tries


def _bound(name: pipeline_pb2.Value) -> None:
    name.field_value.string_value = identity.bounded(name.field_value.string_value)


def _add_contexts(node: pipeline_pb2.PipelineNode, request: NodeRequest) -> None:
    # TFX looks for an earlier execution in all contexts of the node and resumes it, with its old inputs,
    # or returns at once if it succeeded. The first context makes sure that it finds none.
    names = {
        mlmd_facts.TASK_CONTEXT: request.task["key"],
        mlmd_facts.TRIES_CONTEXT: identity.tries_name(request.task),
        mlmd_facts.GROUP_CONTEXT: request.group,
    }
    for type_name, name in names.items():
        if not name:
            continue
        context = node.contexts.contexts.add()
        context.type.name = type_name
        context.name.field_value.string_value = name
        for key in mlmd_facts.TASK_PROPERTIES if type_name == mlmd_facts.TASK_CONTEXT else ():
            value = request.task[key]
            integer = isinstance(value, int)
            context.type.properties[key] = metadata_store_pb2.INT if integer else metadata_store_pb2.STRING
            field = context.properties[key].field_value
            if integer:
                field.int_value = value
            else:
                field.string_value = value


def _decide_on_cache(
    store: Any, node: pipeline_pb2.PipelineNode, request: NodeRequest
) -> frozenset[int] | None:
    """A cleared task runs again without the cache; a retry reuses what an earlier try has finished.

    A backfill clears whole runs to bring them up to date: there the pipeline's own setting applies.
    """
    first, this = request.task["first_try"], request.task["try_number"]
    tries = [(number, execution.id) for number, execution in _tries(store, request) if succeeded(execution)]
    finished = frozenset(id_ for earlier, id_ in tries if first <= earlier < this)
    if finished:
        log.info("An earlier try of this task finished the node and died afterwards: its outputs are used.")
        node.execution_options.caching_options.enable_cache = True
        return finished
    if not request.task.get("backfill") and any(earlier < first for earlier, _ in tries):
        log.info("This task was cleared after it had finished: the node runs again, without the cache.")
        node.execution_options.caching_options.enable_cache = False
    return None


def _tries(store: Any, request: NodeRequest) -> Iterator[tuple[int, metadata_store_pb2.Execution]]:
    """The tries before this one, the latest first: number and execution.

    Not those of a run that was deleted and made again under its id, where the numbers began again.
    """
    later = request.task["try_number"]
    for execution in sorted(
        mlmd_store.tries_of(store, request.task), key=lambda execution: execution.id, reverse=True
    ):
        for context in _try_contexts(store, execution):
            number = context.properties["try_number"].int_value
            if number >= later:
                return
            later = number
            yield number, execution


def _keep_to_this_copy(
    pipeline: pipeline_pb2.Pipeline,
    channel: pipeline_pb2.InputSpec.Channel,
    request: NodeRequest,
) -> None:
    """Narrows what a channel sees to what was made for this copy of the pipeline.

    From this run it sees its producer's tries, of which `candidates` takes the latest: otherwise a
    cleared producer would have two live outputs, and a node of the same id in another task group would be seen too.
    From earlier runs it sees what the same task group made, where the DAG has several copies of the pipeline.
    """
    names = {query.type.name: query.name.field_value.string_value for query in channel.context_queries}
    if names.get("pipeline") != identity.bounded(pipeline.pipeline_info.id):
        return
    if "pipeline_run" not in names:
        if request.own_history:
            _narrow(channel, mlmd_facts.GROUP_CONTEXT, request.group)
        return
    node_id = skippable.producer(channel)
    if names["pipeline_run"] != request.run or not node_id:
        return
    producer = {**request.task, "task_id": request.task_ids.get(node_id, node_id)}
    tries = _NO_TRY if node_id in request.absent else identity.tries_name(producer)
    _narrow(channel, mlmd_facts.TRIES_CONTEXT, tries)


def _narrow(channel: pipeline_pb2.InputSpec.Channel, type_name: str, name: str) -> None:
    query = channel.context_queries.add()
    query.type.name = type_name
    query.name.field_value.string_value = name


def _try_contexts(store: Any, execution: metadata_store_pb2.Execution) -> list[metadata_store_pb2.Context]:
    return [c for c in store.get_contexts_by_execution(execution.id) if c.type == mlmd_facts.TASK_CONTEXT]
