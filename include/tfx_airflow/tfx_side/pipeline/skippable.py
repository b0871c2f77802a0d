"""Finds which nodes may be skipped, and which inputs a node needs, from the IR at compile time.

TFX's launcher skips a node whose Cond is false, or whose Resolver finds nothing to work on, and runs a consumer
of it that takes the output as an optional input. Airflow's default trigger rule would skip that consumer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator

from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract.manifest import Node

_RESOLVER = "tfx.dsl.components.common.resolver.Resolver"
# Optional for TFX, because a pipeline may leave them out. A pipeline that has them needs them: a Pusher must not push
# what a skipped Evaluator has never judged.
_BLESSINGS = ("ModelBlessing", "InfraBlessing")
_NEEDED = {
    "tfx.components.evaluator.component.Evaluator": "model",
    "tfx.components.pusher.component.Pusher": "model",
}


def producer(channel: pipeline_pb2.InputSpec.Channel) -> str:
    """Id of the node whose outputs a channel reads; empty when it reads those of any node.

    `as_optional()` of a channel names it in the node context alone.
    """
    if channel.producer_node_query.id:
        return channel.producer_node_query.id
    names = {q.type.name: q.name.field_value.string_value for q in channel.context_queries}
    return names.get("node", "").removeprefix(names.get("pipeline", "") + ".")


def required(node: pipeline_pb2.PipelineNode) -> tuple[tuple[str, ...], ...]:
    """For each input that a node needs, the nodes of this run that may provide it.

    Args:
      node: Its IR. An input is optional when its `min_count` is 0, as in TFX's input resolution
        (`tfx/orchestration/portable/input_resolution/node_inputs_resolver.py`).
    """
    found: set[tuple[str, ...]] = set()
    for key, spec in node.inputs.inputs.items():
        needed = (
            spec.min_count > 0
            or node.node_info.type.name == _RESOLVER
            or _NEEDED.get(node.node_info.type.name) == key
            or any(channel.artifact_query.type.name in _BLESSINGS for channel in spec.channels)
        )
        if needed and not spec.hidden:
            found.update(_producers(node, key))
    return tuple(sorted(found - {()}))


def _producers(node: pipeline_pb2.PipelineNode, key: str) -> Iterator[tuple[str, ...]]:
    spec = node.inputs.inputs[key]
    if spec.channels:
        of_this_run = (
            c for c in spec.channels if any(q.type.name == "pipeline_run" for q in c.context_queries)
        )
        yield tuple(sorted({producer(channel) for channel in of_this_run}))
    elif spec.mixed_inputs.input_keys:  # a union: one of them is enough
        parts = (names for part in spec.mixed_inputs.input_keys for names in _producers(node, part))
        yield tuple(sorted({name for names in parts for name in names}))
    else:
        graph = node.inputs.input_graphs.get(spec.input_graph_ref.graph_id)
        for step in graph.nodes.values() if graph else ():
            if step.input_node.input_key:
                yield from _producers(node, step.input_node.input_key)


def has_history(node: pipeline_pb2.PipelineNode, pipeline: str) -> bool:
    """Whether a node has inputs from earlier runs of its own pipeline."""
    for spec in node.inputs.inputs.values():
        for channel in spec.channels:
            names = {q.type.name: q.name.field_value.string_value for q in channel.context_queries}
            if names.get("pipeline") == pipeline and "pipeline_run" not in names:
                return True
    return False


def may_skip_itself(node: pipeline_pb2.PipelineNode) -> bool:
    """Whether a node may be skipped even with all its inputs: by a Cond, or by a strategy's SkipSignal."""
    return bool(node.inputs.conditionals or node.inputs.input_graphs)


def with_trigger_rules(nodes: tuple[Node, ...], skipping: Container[str]) -> tuple[Node, ...]:
    """Gives `none_failed` to the nodes that may find an upstream node skipped.

    Args:
      nodes: In the order of the IR, upstream nodes first; `trigger_rule` is what their execution options ask for.
      skipping: Ids of the nodes that may skip themselves.
    """
    skippable: set[str] = set()
    result = []
    for node in nodes:
        if node.trigger_rule == "all_success" and skippable.intersection(node.upstream):
            node = dataclasses.replace(node, trigger_rule="none_failed")
        if node.id in skipping or any(skippable.issuperset(names) for names in node.required):
            skippable.add(node.id)
        result.append(node)
    return tuple(result)
