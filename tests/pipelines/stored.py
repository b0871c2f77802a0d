"""A pipeline whose artifacts are a folder, a value, and one without any file.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import os
import time

import tensorflow as tf
from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

_String = tfx.types.standard_artifacts.String
_Model = tfx.types.standard_artifacts.Model
_TransformGraph = tfx.types.standard_artifacts.TransformGraph


@component
def Make(
    started: tfx.dsl.components.Parameter[str],
    model: tfx.dsl.components.OutputArtifact[_Model],
    text: tfx.dsl.components.OutputArtifact[_String],
    nothing: tfx.dsl.components.OutputArtifact[_TransformGraph],
) -> None:
    """Writes files as TensorFlow does; with `started`, a file, it says so there and waits until that is removed."""
    tf.io.gfile.makedirs(os.path.join(model.uri, "variables"))
    for name in ("saved_model.pb", "variables/data"):
        with tf.io.gfile.GFile(os.path.join(model.uri, name), "w") as file:
            file.write(f"content of {name}")
    model.set_string_custom_property("place", os.path.join(model.uri, "variables"))
    text.value = "made"
    if started:
        with open(started, "w") as file:
            file.write("started")
        while os.path.exists(started):
            time.sleep(0.1)


@component
def Use(
    model: tfx.dsl.components.InputArtifact[_Model],
    text: tfx.dsl.components.InputArtifact[_String],
    nothing: tfx.dsl.components.InputArtifact[_TransformGraph],
    copy: tfx.dsl.components.OutputArtifact[_String],
) -> None:
    """Tells what it was given."""
    with tf.io.gfile.GFile(os.path.join(model.uri, "variables", "data")) as file:
        copy.value = f"{text.value}: {file.read()}, {tf.io.gfile.listdir(nothing.uri)}"
    copy.set_string_custom_property("used", model.uri)


def create_pipeline(pipeline_root: str, started: str = "", cache: bool = True) -> tfx.dsl.Pipeline:
    """Make, then Use."""
    make = Make(started=started)
    use = Use(model=make.outputs["model"], text=make.outputs["text"], nothing=make.outputs["nothing"])
    return tfx.dsl.Pipeline("stored", pipeline_root=pipeline_root, components=[make, use], enable_cache=cache)
