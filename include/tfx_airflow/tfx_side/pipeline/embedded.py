"""Handles RuntimeParameters inside dicts, lists, protos and texts: finds them when compiling, fills them in for a run.

TFX supports a parameter that is a whole property. One inside a property, an f-string, a resolver's
config or a Cond it only writes into the text, as JSON. Here this JSON is the placeholder: it is replaced
by a value before TFX's launcher sees the node.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf import message
from tfx.orchestration import data_types
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract.errors import ManifestError
from include.tfx_airflow.tfx_side import compat

ValueOf = Callable[[data_types.RuntimeParameter], Any]

# json.dumps with sorted keys, as TFX writes it, begins like this.
_BEGIN = '{"__class__": "RuntimeParameter"'
# In a list or dict of a custom component TFX keeps no type for a value: this marks a parameter that was
# the whole value, not part of a text.
_WHOLE = "whole"
# What may remain of such a text after it was cut, put into upper case or changed in another way.
_FRAGMENT = re.compile(r"__class__\W{1,9}RuntimeParameter|ptype\W{1,9}(null\b|__class__)", re.IGNORECASE)
_DECODER = json.JSONDecoder()


def fragment(text: str) -> str:
    """An excerpt of a text around the remains of a parameter; empty if there are none."""
    found = _FRAGMENT.search(text)
    return text[max(0, found.start() - 10) : found.end() + 30] if found else ""


def as_text(value: Any) -> Any:
    """A list or dict of a property, its parameters replaced by texts that `fill` finds again."""
    if isinstance(value, data_types.RuntimeParameter):
        return json.dumps({**json.loads(str(value)), _WHOLE: True}, sort_keys=True)
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([as_text(item) for item in value])
    return value


def parameters_in(value: Any) -> Iterator[data_types.RuntimeParameter]:
    """Finds parameter objects in a Python value: a dict, a list, or what holds them as attributes."""
    seen: set[int] = set()
    queue = [value]
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, (str, bytes, int, float, type, message.Message)):
            continue
        seen.add(id(item))
        if isinstance(item, data_types.RuntimeParameter):
            yield item
        elif isinstance(item, dict):
            queue += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set, frozenset)):
            queue += item


def fill(text: str, value_of: ValueOf) -> str:
    """A text with each parameter in it replaced by its value.

    In JSON a parameter becomes a value of its type, in any other text the value as text.
    """
    if "RuntimeParameter" not in text:
        return text
    try:
        tree = json.loads(text)
    except ValueError:
        return _fill_pieces(text, value_of)
    if found := _parameter(tree):
        return str(value_of(found))
    return json.dumps(_fill_tree(tree, value_of), sort_keys=True)


def _fill_tree(tree: Any, value_of: ValueOf) -> Any:
    if found := _parameter(tree):
        return value_of(found)
    if isinstance(tree, dict):
        return {fill(key, value_of): _fill_tree(value, value_of) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_fill_tree(value, value_of) for value in tree]
    if isinstance(tree, str):
        if tree.startswith(_BEGIN) and (found := _parameter(_decoded(tree), whole=True)):
            return value_of(found)
        return fill(tree, value_of)
    return tree


def _fill_pieces(text: str, value_of: ValueOf) -> str:
    pieces, position = [], 0
    while (begin := text.find(_BEGIN, position)) >= 0:
        try:
            tree, end = _DECODER.raw_decode(text, begin)
        except ValueError:
            break
        found = _parameter(tree)
        if not found:
            break
        pieces += [text[position:begin], found]
        position = end
    pieces.append(text[position:])
    # In JSON made by an f-string, a value inside quotes must not end them.
    tried = "".join(one if isinstance(one, str) else "0" if one.ptype else "" for one in pieces)
    json_ = _decoded(tried) is not None

    def written(parameter: data_types.RuntimeParameter) -> str:
        value = str(value_of(parameter))
        return json.dumps(value)[1:-1] if json_ else value

    return "".join(piece if isinstance(piece, str) else written(piece) for piece in pieces)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _parameter(tree: Any, whole: bool = False) -> data_types.RuntimeParameter | None:
    if not isinstance(tree, dict) or tree.get("__class__") != "RuntimeParameter":
        return None
    if whole and _WHOLE not in tree:
        return None
    kind = (tree.get("ptype") or {}).get("__class__", "")
    types = {"str": str, "int": int, "float": float}
    return data_types.RuntimeParameter(
        tree["name"], types.get(kind), tree.get("default"), tree.get("description")
    )


def texts(proto: message.Message, path: str = "") -> Iterator[tuple[str, str, Callable[[str], None] | None]]:
    """Finds all texts below a message: (path of fields, text, how to replace it; None for a map's key)."""
    for field, value in proto.ListFields():
        below = f"{path}.{field.name}" if path else field.name
        if field.type == field.TYPE_MESSAGE:
            if field.message_type.GetOptions().map_entry:
                for key in sorted(value):
                    yield below, str(key), None
                    if isinstance(value[key], message.Message):
                        yield from texts(value[key], f"{below}[{key}]")
            else:
                for child in value if compat.is_repeated(field) else [value]:
                    yield from texts(child, below)
        elif field.type == field.TYPE_STRING:
            if compat.is_repeated(field):
                for index, text in enumerate(value):
                    yield below, text, functools.partial(value.__setitem__, index)
            else:
                yield below, value, functools.partial(setattr, proto, field.name)


def declared_in(text: str) -> list[data_types.RuntimeParameter]:
    """The parameters that a text holds."""
    found: list[data_types.RuntimeParameter] = []

    def remember(parameter: data_types.RuntimeParameter) -> Any:
        found.append(parameter)
        return (parameter.ptype or str)()

    fill(text, remember)
    return found


def without(text: str) -> str:
    """A text with an empty or zero value in place of each parameter."""
    return fill(text, lambda parameter: (parameter.ptype or str)())


def fill_pipeline(pipeline: pipeline_pb2.Pipeline, node_id: str, values: Mapping[str, Any]) -> None:
    """Fills the parameters inside the texts of one node, and of the pipeline's root, in place.

    Args:
      pipeline: The IR, before TFX's own substitution.
      node_id: Other nodes are left alone.
      values: Value by parameter, of its declared type.

    Raises:
      ManifestError: A parameter has neither value nor default.
    """

    def value_of(parameter: data_types.RuntimeParameter) -> Any:
        value = values.get(parameter.name, parameter.default)
        if value is None:
            raise ManifestError(
                f"parameter {parameter.name!r} of {node_id!r} has no value; enter one in the trigger form, "
                "or give a default in the pipeline or in AirflowPipelineConfig."
            )
        return value

    nodes = [entry.pipeline_node for entry in pipeline.nodes if entry.pipeline_node.node_info.id == node_id]
    for proto in (*nodes, pipeline.runtime_spec.pipeline_root):
        for _, text, replace in list(texts(proto)):
            if replace and "RuntimeParameter" in text:
                replace(fill(text, value_of))
