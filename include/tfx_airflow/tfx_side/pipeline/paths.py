"""Checks the paths in a node's properties: a relative one would end up inside the bundle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract.errors import ManifestError, UnsupportedNodeError
from include.tfx_airflow.contract.object_store import DRIVERS, is_object_store
from include.tfx_airflow.tfx_side.pipeline import embedded

# Properties of TFX's components that are paths, except a module file, which is imported by name if it is below the
# bundle's root.
_PATHS = ("input_base", "schema_file", "artifact_uri")


def _relative(node: pipeline_pb2.PipelineNode) -> Iterator[tuple[str, str]]:
    """Finds (property, path)."""
    for key, value in sorted(node.parameters.parameters.items()):
        text = value.field_value.string_value
        if not text:
            continue
        text = embedded.without(text)
        if key in _PATHS and not is_absolute(text):
            yield key, text
        if key == "push_destination":
            folder = _base_directory(text)
            if not is_absolute(folder):
                yield key, folder


def _base_directory(text: str) -> str:
    try:
        filesystem = json.loads(text)["filesystem"]
        return str(filesystem.get("base_directory") or filesystem.get("baseDirectory") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""  # of another kind, or invalid, which the component reports better


def is_absolute(path: str) -> bool:
    """Whether a path is absolute, here or in an object store; an empty one counts as absolute."""
    return not path or path.startswith(("/", "${BUNDLE_ROOT}", "${TFX_")) or "://" in path


_CURE = "start it with '/', '${TFX_AIRFLOW_HOME}/', '${BUNDLE_ROOT}/' or a scheme such as 's3://'"


def make_absolute(pipeline: pipeline_pb2.Pipeline, folder: str) -> None:
    """Makes the relative paths of a compiled pipeline, or of one with a run's values, absolute: from a folder."""
    for value in (
        pipeline.runtime_spec.pipeline_root.runtime_parameter.default_value,
        pipeline.runtime_spec.pipeline_root.field_value,
    ):
        if value.string_value:
            value.string_value = _from(folder, value.string_value)
    for entry in pipeline.nodes:
        parameters = entry.pipeline_node.parameters.parameters
        for key, _ in list(_relative(entry.pipeline_node)):
            field = parameters[key].field_value
            if key == "push_destination":
                field.string_value = _with_base_directory(field.string_value, folder)
            else:
                field.string_value = _from(folder, field.string_value)


def _from(folder: str, path: str) -> str:
    plain = embedded.without(path)
    if is_absolute(plain):
        return path
    # What a parameter is in is no path yet.
    return os.path.normpath(os.path.join(folder, path)) if plain == path else f"{folder}/{path}"


def _with_base_directory(text: str, folder: str) -> str:
    destination = json.loads(text)
    filesystem = destination["filesystem"]
    for key in ("base_directory", "baseDirectory"):
        if filesystem.get(key):
            filesystem[key] = _from(folder, filesystem[key])
    return json.dumps(destination, sort_keys=True)


def refuse_relative(pipeline: pipeline_pb2.Pipeline, cure: str = "") -> None:
    """Checks the paths of a compiled pipeline.

    Args:
      pipeline: The pipeline.
      cure: What else than another path would help.

    Raises:
      UnsupportedNodeError: Its root, or a path of a node, is relative.
    """
    root = pipeline.runtime_spec.pipeline_root.runtime_parameter.default_value.string_value
    if "://" in root and not is_object_store(root):
        raise UnsupportedNodeError(
            f"pipeline_root is {root!r}; it must be a folder, or an address that begins with one of "
            f"{[f'{name}://' for name in DRIVERS]}."
        )
    if not is_absolute(embedded.without(root)):
        raise UnsupportedNodeError(
            f"pipeline_root is the relative path {root!r}; {_CURE}, or leave it empty for [tfx_airflow] home.{cure}"
        )
    for entry in pipeline.nodes:
        for key, path in _relative(entry.pipeline_node):
            raise UnsupportedNodeError(
                f"{key!r} of {entry.pipeline_node.node_info.id!r} is the relative path {path!r}; {_CURE}. "
                f"For a path that is known only in a run, use a RuntimeParameter.{cure}"
            )


def addresses(pipeline: pipeline_pb2.Pipeline) -> dict[str, str]:
    """What a compiled pipeline names in object stores, by what it is, such as `pipeline_root`."""
    root = pipeline.runtime_spec.pipeline_root.runtime_parameter.default_value.string_value
    found = {"pipeline_root": root}
    for entry in pipeline.nodes:
        node = entry.pipeline_node
        for key, value in sorted(node.parameters.parameters.items()):
            text = value.field_value.string_value
            if key == "push_destination":
                text = _base_directory(text)
            found[f"{key!r} of {node.node_info.id!r}"] = text
    return {what: text for what, text in found.items() if is_object_store(text)}


def refuse_relative_values(pipeline: pipeline_pb2.Pipeline, node_id: str) -> None:
    """Checks a node's paths after a run's values were filled in.

    Raises:
      ManifestError: A RuntimeParameter made one relative.
    """
    root = pipeline.runtime_spec.pipeline_root
    value = root.field_value.string_value or root.runtime_parameter.default_value.string_value
    if "://" in value and not is_object_store(value):
        raise ManifestError(
            f"pipeline_root is {value!r} in this run; it must be a folder, or begin with one of "
            f"{[f'{name}://' for name in DRIVERS]}."
        )
    if not is_absolute(value):
        raise ManifestError(f"pipeline_root is the relative path {value!r} in this run; {_CURE}.")
    for entry in pipeline.nodes:
        if entry.pipeline_node.node_info.id == node_id:
            for key, path in _relative(entry.pipeline_node):
                raise ManifestError(
                    f"{key!r} of {node_id!r} is the relative path {path!r} in this run; {_CURE}."
                )
