"""Reads what TensorFlow Transform's analyzers found, such as means and bounds of buckets, from a TransformGraph.

TensorFlow 2 passes them as constants to the function that transforms; its parameters are named by what uses them, such
as `scale_to_z_score_sub_y`, the mean. Vocabularies are files and not among them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from mlmd_panel.files import protos, wire_format
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.records import Artifact

FILE = "transform_fn/saved_model.pb"
MAX_BYTES = 8 << 20
MAX_MESSAGES = 500_000
MAX_VALUES = 1000
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_DEPTH = 5
# Numbers of tensorflow.DataType: how they are packed, and the field of few values.
_TYPES = {1: ("f", "float_val"), 2: ("d", "double_val"), 3: ("i", "int_val"), 9: ("q", "int64_val")}
_UNNAMED = "unknown"
_TRACE = re.compile(r"_\d{3,}$")
_INTERNAL = "__saved_model"

Values = tuple[float, ...]


def read(artifact: Artifact, files: Files) -> dict[str, Values]:
    """Numbers by the name of the parameter; none in graphs of TensorFlow 1, which have no such parameters.

    Raises:
      PayloadError: The graph is gone, broken or too large.
    """
    data = files.read(artifact.uri, FILE, MAX_BYTES)
    wire_format.check(data, protos.message("tensorflow.SavedModel").DESCRIPTOR, FILE, MAX_MESSAGES)
    model = protos.parse("tensorflow.SavedModel", data, FILE)
    found: dict[str, Values] = {}
    with protos.sound(FILE, "SavedModel"):
        for meta in model.meta_graphs[:1]:
            nodes = {node.name: node for node in meta.graph_def.node}
            functions = {one.signature.name: one for one in meta.graph_def.library.function}
            for call in _calls_of_signatures(meta, nodes):
                for name, constant in _parameters(call, nodes, functions):
                    values = _numbers(constant.attr["value"].tensor)
                    if values is not None and not name.startswith(_UNNAMED):
                        found[_numbered(name, found)] = values
    return found


def _numbered(name: str, known: Mapping[str, Any]) -> str:
    """The name without the number of a trace, which differs from graph to graph; the second and so on is counted."""
    name = _TRACE.sub("", name)
    count = 1
    while (made := f"{name}_{count}" if count > 1 else name) in known:
        count += 1
    return made


def _calls_of_signatures(meta: Any, nodes: Mapping[str, Any]) -> list[Any]:
    """The calls that the outputs of signatures come from."""
    names = {
        tensor.name.partition(":")[0]: None
        for key in sorted(meta.signature_def)
        if not key.startswith(_INTERNAL)
        for tensor in meta.signature_def[key].outputs.values()
    }
    return [nodes[name] for name in names if name in nodes and nodes[name].op in _CALLS]


def _parameters(
    call: Any, nodes: Mapping[str, Any], functions: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Names of the parameters of the innermost function, with the constants that are passed."""
    passed = {place: nodes.get(name.partition(":")[0]) for place, name in enumerate(call.input)}
    constants = {place: node for place, node in passed.items() if node is not None and node.op == "Const"}
    function = functions.get(call.attr["f"].func.name)
    for _ in range(_DEPTH):
        if function is None:
            return
        own = {
            argument.name: constants[place]
            for place, argument in enumerate(function.signature.input_arg)
            if place in constants
        }
        inner = next((node for node in function.node_def if _passes_on(node, own)), None)
        if inner is None:
            yield from own.items()
            return
        names = [name.partition(":")[0] for name in inner.input]
        constants = {place: own[name] for place, name in enumerate(names) if name in own}
        function = functions.get(inner.attr["f"].func.name)


def _passes_on(node: Any, own: Mapping[str, Any]) -> bool:
    return node.op in _CALLS and any(name.partition(":")[0] in own for name in node.input)


def _numbers(tensor: Any) -> Values | None:
    """The numbers of a tensor; None of one that holds others, or too many."""
    if tensor.dtype not in _TYPES:
        return None
    count = 1
    for dim in tensor.tensor_shape.dim:
        count *= max(dim.size, 0)
    packed, field = _TYPES[tensor.dtype]
    if count > MAX_VALUES:
        return None
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * struct.calcsize(f"<{packed}"):
            return None
        return struct.unpack(f"<{count}{packed}", tensor.tensor_content)
    given = tuple(getattr(tensor, field))[:count]
    # Equal values at the end are written once; zeros not at all.
    return given + (given[-1:] or (0,)) * (count - len(given))
