"""Puts MLMD's answers into a fixed order.

ml_metadata answers in the order in which its database finds the rows: by id on SQLite, in the order of a join on
PostgreSQL. TFX pairs some answers with its questions by position. So what was requested by id comes in the order of
these ids, twice if requested twice; everything else comes by id.
"""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import MutableSequence, Sequence
from typing import Any

from google.protobuf import message
from ml_metadata.proto import metadata_store_pb2

# Answers by id: field of the answer, field of the request.
_ASKED = {
    "GetArtifactsByID": ("artifacts", "artifact_ids"),
    "GetExecutionsByID": ("executions", "execution_ids"),
    "GetContextsByID": ("contexts", "context_ids"),
    "GetArtifactTypesByID": ("artifact_types", "type_ids"),
    "GetExecutionTypesByID": ("execution_types", "type_ids"),
    "GetContextTypesByID": ("context_types", "type_ids"),
}


def arrange(method_name: str, request: message.Message, response: message.Message) -> None:
    """Puts an answer into the order described above, in place.

    The answer to a request with list options (GetExecutions and others) keeps the order that these specify.
    """
    if "options" in request.DESCRIPTOR.fields_by_name and request.HasField("options"):
        return
    graph = getattr(response, "lineage_subgraph", response)
    for field, value in graph.ListFields():
        if not isinstance(value, MutableSequence) or not field.message_type:
            continue
        name, asked = _ASKED.get(method_name, ("", ""))
        before = list(value)
        if field.name == name:
            by_id = {node.id: node for node in before}
            nodes = [by_id[id_] for id_ in getattr(request, asked) if id_ in by_id]
        elif field.message_type.full_name == metadata_store_pb2.Event.DESCRIPTOR.full_name:
            nodes = events(before)
        elif "id" in field.message_type.fields_by_name:
            nodes = sorted(before, key=lambda node: node.id)
        else:  # associations, attributions
            nodes = sorted(before, key=lambda edge: [number for _, number in edge.ListFields()])
        if [id(node) for node in nodes] == [id(node) for node in before]:
            continue
        del value[:]
        value.extend(nodes)  # copies


def events(found: Sequence[metadata_store_pb2.Event]) -> list[metadata_store_pb2.Event]:
    """Events by execution, those of one execution such that the artifacts of each key are ordered by index."""
    by_place = sorted(found, key=_place)
    return [
        event
        for _, of_one in itertools.groupby(by_place, key=lambda e: e.execution_id)
        for event in _by_index(list(of_one))
    ]


def _place(event: metadata_store_pb2.Event) -> tuple[Any, ...]:
    steps = event.path.steps
    key, index = (steps[0].key if steps else "", steps[1].index if len(steps) > 1 else 0)
    return event.execution_id, key, index, event.artifact_id, event.type


def places(event: metadata_store_pb2.Event) -> list[tuple[str, int]]:
    """Keys and indexes of an event's path; several if the artifact is under several keys."""
    steps = [*event.path.steps, metadata_store_pb2.Event.Path.Step()]
    return [(steps[i].key, steps[i + 1].index) for i in range(0, len(steps) - 1, 2)]


def _by_index(of_one: list[Any]) -> list[Any]:
    if all(len(event.path.steps) <= 2 for event in of_one):
        return of_one
    # An artifact under several keys: one order has to be right for all of them.
    keys: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for number, event in enumerate(of_one):
        for key, index in places(event):
            keys.setdefault((event.type, key), []).append((index, number))
    after: dict[int, set[int]] = {number: set() for number in range(len(of_one))}
    for numbers in keys.values():
        for (_, first), (_, second) in itertools.pairwise(sorted(numbers)):
            after[second].add(first)
    try:
        return [of_one[number] for number in graphlib.TopologicalSorter(after).static_order()]
    except graphlib.CycleError:  # two keys hold the same artifacts in opposite order
        return of_one
