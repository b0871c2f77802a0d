"""Finds which candidates a Resolver's strategy needs to see, so that it is not given a whole history.

A strategy of the bundle says it itself, with a method beside `resolve_artifacts`:

    def needed(self, store, candidates: Mapping[str, Candidates]) -> Mapping[str, Collection[int]]:

by key the ids that decide, such that `resolve_artifacts` chooses the same from them as from all; all of a key that is
left out. It may ask the candidates for ids and properties, and the store for lineage, but not for all artifacts. Of TFX's
strategies the ones below are known. Any other strategy is given all candidates, as by TFX.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.ops import ops
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.dsl.input_resolution.strategies.span_range_strategy import SpanRangeStrategy
from tfx.orchestration import data_types_utils
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.tfx_side.node.candidates import Candidates

log = logging.getLogger(__name__)

Needed = Mapping[str, Collection[int]]


def of_node(
    node: pipeline_pb2.PipelineNode,
    store: Any,
    candidates: Callable[[pipeline_pb2.InputSpec], Candidates],
) -> dict[str, Collection[int]]:
    """Asks the strategies of a Resolver.

    Args:
      node: Any node.
      store: Open `MetadataStore`.
      candidates: Those of an input.

    Returns:
      By input, as the IR names it, ids of the candidates to resolve; all of an input that is left out.
    """
    graphs = list(node.inputs.input_graphs.values())
    if len(graphs) != 1:  # several may need the same input
        return {}
    strategy, names = _strategy(graphs[0])
    specs = {key: node.inputs.inputs[name] for key, name in names.items()}
    if strategy is None or not all(spec.channels for spec in specs.values()):
        return {}
    offered = {key: candidates(spec) for key, spec in specs.items()}
    # TFX counts the candidates of an input that has a minimum.
    return {
        names[key]: ids for key, ids in _ask(strategy, store, offered).items() if not specs[key].min_count
    }


def _strategy(graph: pipeline_pb2.InputGraph) -> tuple[resolver.ResolverStrategy | None, dict[str, str]]:
    """The strategy of a graph that consists of it alone, and the node's input for each of its keys."""
    operation = graph.nodes[graph.result_node].op_node
    arguments = [graph.nodes[argument.node_id] for argument in operation.args if argument.node_id]
    if len(arguments) != 1 or arguments[0].WhichOneof("kind") != "dict_node":
        return None, {}
    sources = {key: graph.nodes[id_] for key, id_ in arguments[0].dict_node.node_ids.items()}
    if any(source.WhichOneof("kind") != "input_node" for source in sources.values()):
        return None, {}
    try:
        kind = ops.get_by_class_path(operation.op_type)
        settings = {
            name: data_types_utils.get_parsed_value(
                argument.value.field_value,
                argument.value.schema if argument.value.HasField("schema") else None,
            )
            for name, argument in operation.kwargs.items()
        }
        strategy = kind(**settings) if issubclass(kind, resolver.ResolverStrategy) else None
    except Exception:  # TFX makes it again, and says what is wrong
        return None, {}
    return strategy, {key: source.input_node.input_key for key, source in sources.items()}


def _ask(strategy: resolver.ResolverStrategy, store: Any, candidates: Mapping[str, Candidates]) -> Needed:
    kind = type(strategy)
    if kind in _OF_TFX:
        return _OF_TFX[kind](strategy, candidates)
    # A subclass that chooses otherwise may need others.
    if _defines(kind, "needed") is not None and _defines(kind, "needed") is _defines(
        kind, "resolve_artifacts"
    ):
        try:
            return strategy.needed(store, candidates)
        except Exception as error:  # of which resolve_artifacts may make something
            log.warning("%s.needed failed, so it gets all candidates: %r", kind.__name__, error)
    return {}


def _defines(kind: type, name: str) -> type | None:
    return next((one for one in inspect.getmro(kind) if name in vars(one)), None)


def _latest(strategy: Any, candidates: Mapping[str, Candidates]) -> Needed:
    number = strategy._desired_num_of_artifact
    if not isinstance(number, int) or number < 1:
        return {}
    return {key: sorted(offered.ids)[-number:] for key, offered in candidates.items()}


def _latest_blessed(strategy: Any, candidates: Mapping[str, Candidates]) -> Needed:
    by_type = {tuple(offered.type_names): key for key, offered in candidates.items()}
    if set(by_type) != {("Model",), ("ModelBlessing",)} or len(candidates) != 2:
        return {}
    model_key, blessing_key = by_type["Model",], by_type["ModelBlessing",]
    models, blessings = candidates[model_key], candidates[blessing_key]
    if not models.ids or not blessings.ids:
        return {}
    blessed = [id_ for id_, value in blessings.property("blessed").items() if value == 1]
    judged = blessings.property("current_model_id", only=blessed)
    latest = max(models.ids.intersection(judged.values()), default=None)
    if latest is None:
        return {model_key: [max(models.ids)], blessing_key: [max(blessings.ids)]}
    return {model_key: [latest], blessing_key: [id_ for id_, model in judged.items() if model == latest]}


def _spans(strategy: Any, candidates: Mapping[str, Candidates]) -> Needed:
    settings = strategy._range_config
    found: dict[str, Collection[int]] = {}
    for key, offered in candidates.items():
        stored = offered.property("span")
        if set(stored) != offered.ids or any(
            isinstance(span, str) and not span.isdigit() for span in stored.values()
        ):
            return {}  # TFX refuses them by name
        spans = {id_: int(span or 0) for id_, span in stored.items()}
        if settings.HasField("static_range"):
            first, last = settings.static_range.start_span_number, settings.static_range.end_span_number
        elif settings.HasField("rolling_range") and settings.rolling_range.num_spans > 0:
            last = max(spans.values(), default=-1)
            first = max(settings.rolling_range.start_span_number, last - settings.rolling_range.num_spans + 1)
        else:
            return {}
        found[key] = [id_ for id_, span in spans.items() if first <= span <= last]
    return found


_OF_TFX: dict[type, Callable[[Any, Mapping[str, Candidates]], Needed]] = {
    LatestArtifactStrategy: _latest,
    LatestBlessedModelStrategy: _latest_blessed,
    SpanRangeStrategy: _spans,
}
