"""Describes what an execution read and made for a lineage catalogue, in plain JSON.

Catalogues connect tasks by the names of datasets. The name of an artifact would be a new one in each run; so its channel,
the folder that holds the artifacts of one output of one node, is the dataset, and the artifact is its version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

_Event = metadata_store_pb2.Event
# <root>/<node>/<key>/<execution id>, and below it the file of a value.
_OF_EXECUTION = re.compile(r"/\d+(?:/value)?/?$")
_MAX_FIELDS = 1000


def describe(
    store: Any, execution_id: int, outputs: Mapping[str, list[dict[str, Any]]], summary: Mapping[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """Lists inputs and outputs.

    Args:
      store: Open `MetadataStore`.
      execution_id: An execution that is COMPLETE or CACHED.
      outputs: As in its `NodeResult`.
      summary: As there.

    Returns:
      `inputs` and `outputs`, each a list of {key, id, type, uri, channel}, and where known span, version, rows, fields
      (a list of [name, type]), fields_left_out (how many more there are), columns (by name, what statistics say of it) and facts (such as metrics of an
      evaluation); `unreadable` says why something known is missing.
    """
    events = store.get_events_by_execution_ids([execution_id])
    artifacts = {a.id: a for a in store.get_artifacts_by_id([event.artifact_id for event in events])}
    found: dict[str, list[dict[str, Any]]] = {"inputs": [], "outputs": []}
    for event in events:
        side = {_Event.INPUT: "inputs", _Event.OUTPUT: "outputs"}.get(event.type)
        if side:
            key = next((step.key for step in event.path.steps if step.key), "")
            found[side].append(_described(artifacts[event.artifact_id], key))
    told = {one["id"]: one for some in outputs.values() for one in some}
    for one in found["outputs"]:
        if one["type"] == "Examples" and isinstance(summary.get("records"), Mapping):
            one["rows"] = sum(summary["records"].values())
        facts = _facts(one["type"], summary)
        if note := told.get(one["id"], {}).get("note"):
            facts["note"] = note
        if facts:
            one["facts"] = facts
    for one in found["outputs"]:
        if one["type"] == "ExampleStatistics":
            examples = [source for source in found["inputs"] if source["type"] == "Examples"]
            _describe_columns(artifacts[one["id"]], [one, *examples])
    for one in (*found["inputs"], *found["outputs"]):
        _limit_fields(one)
    return found


def _limit_fields(one: dict[str, Any]) -> None:
    """Keeps the first fields, and says how many more there are: an event has a greatest size."""
    fields = one.get("fields", [])
    if len(fields) > _MAX_FIELDS:
        one["fields"], one["fields_left_out"] = fields[:_MAX_FIELDS], len(fields) - _MAX_FIELDS
        kept = {name for name, _ in one["fields"]}
        if "columns" in one:
            one["columns"] = {name: column for name, column in one["columns"].items() if name in kept}


def _described(artifact: metadata_store_pb2.Artifact, key: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "key": key,
        "id": artifact.id,
        "type": artifact.type,
        "uri": artifact.uri,
        "channel": _OF_EXECUTION.sub("", artifact.uri) or artifact.uri,
    }
    for name in ("span", "version"):
        value = artifact.custom_properties[name] if name in artifact.custom_properties else None
        if value is not None:
            made[name] = value.string_value or value.int_value
    if artifact.type == "Schema":
        try:
            made["fields"] = _schema_fields(artifact.uri)
        except Exception as error:  # a catalogue is no reason to fail
            made["unreadable"] = f"{type(error).__name__}: {error}"
    return made


def _facts(type_name: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What the node's summary says of an output of a type."""
    names = {
        "ModelEvaluation": ("metrics", "failed_thresholds"),
        "ModelBlessing": ("blessed", "evidence"),
        "InfraBlessing": ("infra_blessed",),
        "PushedModel": ("pushed",),
        "ExampleAnomalies": ("anomalies",),
        "Examples": ("records",),
    }.get(type_name, ())
    return {name: summary[name] for name in names if name in summary}


def _schema_fields(uri: str) -> list[list[str]]:
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(uri))
    return [[feature.name, schema_pb2.FeatureType.Name(feature.type)] for feature in schema.feature]


def _describe_columns(statistics: metadata_store_pb2.Artifact, datasets: Iterable[dict[str, Any]]) -> None:
    """Adds what statistics say to themselves and to the examples that they are of."""
    try:
        rows, fields, columns = _columns(statistics)
    except Exception as error:
        for dataset in datasets:
            dataset["unreadable"] = f"{type(error).__name__}: {error}"
        return
    for dataset in datasets:
        dataset.update(rows=rows, fields=fields, columns=columns)


def _columns(
    artifact: metadata_store_pb2.Artifact,
) -> tuple[int, list[list[str]], dict[str, dict[str, float]]]:
    """Rows, fields and columns, over all splits."""
    from tensorflow_metadata.proto.v0 import statistics_pb2
    from tfx.dsl.io import fileio

    rows, kinds = 0, dict[str, str]()
    columns: dict[str, dict[str, float]] = {}
    splits = artifact_utils.decode_split_names(artifact.properties["split_names"].string_value)
    if not splits:
        raise ValueError(f"{artifact.uri!r} has no splits")
    for split in splits:
        found = statistics_pb2.DatasetFeatureStatisticsList()
        with fileio.open(f"{artifact.uri}/Split-{split}/FeatureStats.pb", "rb") as file:
            found.ParseFromString(file.read())
        for dataset in found.datasets[:1]:  # all examples; then slices
            rows += dataset.num_examples
            for feature in dataset.features:
                name = feature.name or ".".join(feature.path.step)
                kinds[name] = statistics_pb2.FeatureNameStatistics.Type.Name(feature.type)
                _add(columns.setdefault(name, {}), feature)
    return rows, [list(item) for item in kinds.items()], columns


def _add(column: dict[str, float], feature: Any) -> None:
    """Adds the statistics of a split."""
    numeric = feature.HasField("num_stats")
    stats = feature.num_stats if numeric else feature.string_stats
    common = stats.common_stats
    missing = common.num_missing
    if (
        common.max_num_values <= 1
    ):  # a list without a value, as an empty cell of CSV becomes, is there for TFDV
        missing += common.num_non_missing - common.tot_num_values
    column["count"] = column.get("count", 0) + common.tot_num_values
    column["nullCount"] = column.get("nullCount", 0) + missing
    if numeric and common.tot_num_values:
        column["min"] = min(column.get("min", stats.min), stats.min)
        column["max"] = max(column.get("max", stats.max), stats.max)
        column["sum"] = column.get("sum", 0.0) + stats.mean * common.tot_num_values
