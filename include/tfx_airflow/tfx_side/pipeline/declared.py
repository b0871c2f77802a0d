"""Finds the RuntimeParameters of a pipeline, and refuses them where they cannot be filled in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import message
from tfx.dsl.compiler import constants
from tfx.dsl.components.base import base_component
from tfx.orchestration import data_types
from tfx.orchestration import pipeline as pipeline_lib
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2

from include.tfx_airflow.contract import fingerprint, templates
from include.tfx_airflow.contract.errors import UnsupportedNodeError
from include.tfx_airflow.contract.manifest import RuntimeParameter
from include.tfx_airflow.tfx_side.pipeline import embedded

_KINDS = {str: "string", int: "integer", float: "number"}
_ROOT = "the pipeline's root"


@dataclasses.dataclass(frozen=True)
class Declaration:
    """A RuntimeParameter and where it is used; `node` is empty for the pipeline's root."""

    node: str
    part: str
    kind: str
    name: str
    default: Any
    description: str

    @property
    def place(self) -> str:
        """Where it is used, for people."""
        return f"{self.part} of {self.node!r}" if self.node else self.part


def make_texts(pipeline: pipeline_lib.Pipeline) -> None:
    """Replaces parameters by strings where TFX's compiler takes no objects: in lists, dicts and the root.

    Raises:
      UnsupportedNodeError: A parameter is used where it cannot be filled in.
    """
    root = pipeline.pipeline_info.pipeline_root
    if isinstance(root, data_types.RuntimeParameter):
        pipeline.pipeline_info.pipeline_root = str(root)
    for node in pipeline.components:
        if not isinstance(node, base_component.BaseComponent):
            continue
        _refuse_objects(pipeline, node)
        for key, value in node.spec.exec_properties.items():
            if isinstance(value, (dict, list, tuple)):
                node.spec.exec_properties[key] = embedded.as_text(value)


def _refuse_objects(pipeline: pipeline_lib.Pipeline, node: Any) -> None:
    contexts = pipeline.dsl_context_registry.get_contexts(node)
    spec = vars(node.executor_spec)
    for place, value in (
        ("the Beam arguments", [*pipeline.beam_pipeline_args, *spec.get("beam_pipeline_args", [])]),
        ("the executor spec", {k: v for k, v in spec.items() if k != "beam_pipeline_args"}),
        ("the Cond", [_parts_of(c.predicate) for c in contexts if hasattr(c, "predicate")]),
    ):
        for found in embedded.parameters_in(value):
            raise _not_fillable(found.name, f"{place} of {node.id!r}")


def _parts_of(predicate: Any) -> list[Any]:
    """What a placeholder is made of, all levels in one list."""
    found: list[Any] = []
    queue = [predicate]
    while queue:
        item = queue.pop()
        if isinstance(item, (list, tuple)):
            queue += item
        elif type(item).__module__.startswith("tfx.dsl.placeholder"):
            queue += vars(item).values()
        else:
            found.append(item)
    return found


def _not_fillable(name: str, place: str) -> UnsupportedNodeError:
    hint = "make it an argument of the pipeline function"
    if "Cond" in place:
        hint = "compare str() of it"
    return UnsupportedNodeError(
        f"RuntimeParameter {name!r} is used in {place}, where none can be filled in; {hint}."
    )


def declarations(pipeline: pipeline_lib.Pipeline, proto: pipeline_pb2.Pipeline) -> list[Declaration]:
    """All parameters of a compiled pipeline, in the order of its nodes.

    Raises:
      UnsupportedNodeError: One has no type, is used where it cannot be filled in, or its text was changed.
    """
    _refuse_elsewhere(proto)
    found = [
        _declaration("", _ROOT, parameter)
        for parameter in embedded.declared_in(
            proto.runtime_spec.pipeline_root.runtime_parameter.default_value.string_value
        )
    ]
    components = {component.id: component for component in pipeline.components}
    for entry in proto.nodes:
        node = entry.pipeline_node
        for key, value in sorted(components[node.node_info.id].exec_properties.items()):
            # As the user wrote them: TFX's compiler drops defaults such as 0 and "".
            if isinstance(value, data_types.RuntimeParameter):
                found.append(_declaration(node.node_info.id, repr(key), value))
        for path, text, _ in embedded.texts(node):
            if ".runtime_parameter." not in path:
                place = property_of(path)
                found += [_declaration(node.node_info.id, place, one) for one in embedded.declared_in(text)]
    for one in found:
        if one.name == constants.PIPELINE_RUN_ID_PARAMETER_NAME or (
            one.name == constants.PIPELINE_ROOT_PARAMETER_NAME and found[0].place != _ROOT
        ):
            raise UnsupportedNodeError(
                f"RuntimeParameter {one.name!r} in {one.place} has a name that TFX reserves; choose another."
            )
    return found


def property_of(path: str) -> str:
    """Names a field of a node's IR for people."""
    if match := re.match(r"parameters\.parameters\[(.*?)\]", path):
        return repr(match[1])
    if path.startswith("inputs.conditionals"):
        return "the Cond"
    if "resolver_config" in path or path.startswith("inputs"):
        return "the inputs"
    return "the outputs" if path.startswith("outputs") else "the id"


def _declaration(node: str, place: str, parameter: data_types.RuntimeParameter) -> Declaration:
    name, default = parameter.name, parameter.default
    where = f"{place} of {node!r}" if node else place
    if parameter.ptype not in _KINDS:
        raise UnsupportedNodeError(
            f"RuntimeParameter {name!r} in {where} has no type; give it ptype=str, int or float."
        )
    for text in (name, default, parameter.description):
        if isinstance(text, str) and embedded.fragment(text):
            raise UnsupportedNodeError(
                f"RuntimeParameter {name!r} in {where} is made from another one; "
                "its name, default and description must be plain values."
            )
    if parameter.ptype is float and isinstance(default, int):
        default = float(default)
    return Declaration(node, place, _KINDS[parameter.ptype], name, default, parameter.description or "")


def _refuse_elsewhere(proto: pipeline_pb2.Pipeline) -> None:
    """Refuses parameters and templates where nothing fills them in, and remains of a cut parameter."""
    _refuse_text(proto.pipeline_info.id, "the pipeline's name", fillable=False)
    root = proto.runtime_spec.pipeline_root.runtime_parameter.default_value.string_value
    _refuse_text(root, _ROOT, fillable=True)
    for entry in proto.nodes:
        node = entry.pipeline_node
        for path, text, replace in embedded.texts(node):
            fillable = bool(replace) and path.startswith(("parameters", "inputs", "outputs"))
            if ".runtime_parameter." in path or ".schema." in path or path.startswith("contexts"):
                continue
            _refuse_text(text, f"{property_of(path)} of {node.node_info.id!r}", fillable)
    config = pipeline_pb2.IntermediateDeploymentConfig()
    if not proto.deployment_config.Unpack(config):
        return
    # Their types are unknown here, but their bytes contain their texts unchanged.
    configs = {
        f"the platform config of {key!r}": one for key, one in config.node_level_platform_configs.items()
    }
    configs["the platform config"] = config.pipeline_level_platform_config
    for place, packed in sorted(configs.items()):
        _refuse_text(packed.value.decode(errors="replace"), place, fillable=False)
    for field in ("executor_specs", "custom_driver_specs"):
        for node_id, packed in sorted(getattr(config, field).items()):
            for spec in _unpacked(packed):
                for path, text, _ in embedded.texts(spec):
                    what = "the Beam arguments" if "beam" in path else f"the {field.rstrip('s')}"
                    _refuse_text(text, f"{what.replace('_', ' ')} of {node_id!r}", fillable=False)


def _unpacked(packed: Any) -> Iterator[message.Message]:
    for kind in (
        executable_spec_pb2.PythonClassExecutableSpec,
        executable_spec_pb2.BeamExecutableSpec,
        executable_spec_pb2.ContainerExecutableSpec,
    ):
        spec = kind()
        if packed.Is(kind.DESCRIPTOR):
            packed.Unpack(spec)
            yield spec


def _refuse_text(text: str, place: str, fillable: bool) -> None:
    if not fillable:
        for found in embedded.declared_in(text):
            raise _not_fillable(found.name, place)
    plain = embedded.without(text)
    if left := embedded.fragment(plain):
        raise UnsupportedNodeError(
            f"{place[0].upper()}{place[1:]} contains part of a RuntimeParameter ({left!r}): its text was cut or "
            "changed, as os.path.dirname() does. The value is known only in a run: use the whole parameter."
        )
    if template := templates.in_text(plain):
        raise UnsupportedNodeError(
            f"{place[0].upper()}{place[1:]} contains the template {template!r}, which is not rendered there: use a "
            "RuntimeParameter, and put the template into AirflowPipelineConfig.runtime_parameters "
            "or computed_parameters."
        )


def merged(found: list[Declaration], roots: Mapping[str, str]) -> tuple[RuntimeParameter, ...]:
    """One parameter per name; where the defaults differ, `conflict` says which there are.

    Raises:
      UnsupportedNodeError: Two of one name differ in type.
    """
    by_name: dict[str, list[Declaration]] = {}
    for one in found:
        by_name.setdefault(one.name, []).append(one)
    result = []
    for name, same in sorted(by_name.items()):
        first = same[0]
        for other in same[1:]:
            if other.kind != first.kind:
                raise UnsupportedNodeError(
                    f"RuntimeParameter {name!r} is of type {first.kind} in {first.place} and of type "
                    f"{other.kind} in {other.place}; give them one type, or two names."
                )
        others = [one for one in same if repr(one.default) != repr(first.default)]
        conflict = "".join(
            f"{first.default!r} in {first.place} and {one.default!r} in {one.place}" for one in others[:1]
        )
        description = next((one.description for one in same if one.description), "")
        default, conflict = (
            fingerprint.abstract(text, roots) if isinstance(text, str) else text
            for text in (first.default, conflict)
        )
        result.append(RuntimeParameter(name, first.kind, default, description, conflict))
    return tuple(result)


def names_of(found: list[Declaration], node_id: str) -> tuple[str, ...]:
    """Names of the parameters that a node needs, those of the pipeline's root among them."""
    return tuple(sorted({one.name for one in found if one.node in ("", node_id)}))
