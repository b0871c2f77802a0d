"""Pipelines with RuntimeParameters inside properties, as TFX's docstrings show them.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import json
import os
from typing import Any

from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

from tests.pipelines import small

_String = tfx.types.standard_artifacts.String
_Parameter = tfx.dsl.experimental.RuntimeParameter


@component
def MakeModel(model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model]) -> None:
    """Writes a folder that can be pushed."""
    folder = os.path.join(model.uri, "Format-Serving")
    os.makedirs(folder)
    with open(os.path.join(folder, "saved_model.pb"), "w") as file:
        file.write("a model")


@component
def Show(
    limits: tfx.dsl.components.Parameter[dict[str, float]],
    names: tfx.dsl.components.Parameter[list[str]],
    note: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Shows what reached it."""
    text.value = f"{limits!r} {names!r} {note!r}"


def push(push_to: str, whole: bool = False) -> tfx.dsl.Pipeline:
    """A Pusher whose destination is a dict with a parameter, or a parameter as a whole."""
    model = MakeModel()
    destination: Any = {"filesystem": {"base_directory": _Parameter("push_to", str, push_to)}}
    if whole:
        text = json.dumps({"filesystem": {"base_directory": push_to}})
        destination = _Parameter("destination", str, text)
    pusher = tfx.components.Pusher(model=model.outputs["model"], push_destination=destination)
    return tfx.dsl.Pipeline("push", pipeline_root="", components=[model, pusher])


def show() -> tfx.dsl.Pipeline:
    """Parameters in a dict, a list and a text of a custom component."""
    node = Show(
        limits={"low": 0.5, "high": _Parameter("high", float, 2.0)},
        names=["a", _Parameter("name", str, "b")],
        note=f"as {_Parameter('name', str, 'b')} {_Parameter('count', int, 3)}",
    )
    return tfx.dsl.Pipeline("show", pipeline_root="", components=[node])


def conditional() -> tfx.dsl.Pipeline:
    """A node in a Cond that compares with a parameter."""
    write = small.Write(message="yes")
    with tfx.dsl.Cond(write.outputs["text"].future()[0].value == str(_Parameter("answer", str, "yes"))):
        read = small.Read(text=write.outputs["text"])
    return tfx.dsl.Pipeline("answers", pipeline_root="", components=[write, read])


def two_defaults(first: Any, second: Any, kind: type = str, other: type = None) -> tfx.dsl.Pipeline:
    """Two nodes with one parameter each, of one name."""
    nodes = [
        small.Write(message=_text(_Parameter("word", kind, first))).with_id("First"),
        small.Write(message=_text(_Parameter("word", other or kind, second))).with_id("Second"),
    ]
    return tfx.dsl.Pipeline("two_defaults", pipeline_root="", components=nodes)


def _text(parameter: Any) -> Any:
    return parameter if parameter.ptype is str else f"{parameter}"
