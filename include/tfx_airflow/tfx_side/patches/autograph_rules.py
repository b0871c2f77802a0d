"""TensorFlow Transform's layer, which TensorFlow's AutoGraph leaves as it is.

AutoGraph turns Python's `if` and `while` into operations of the graph, in everything that a traced function calls. Calling
a TransformFeaturesLayer, as every serving signature does, makes it rewrite fifty functions of TensorFlow Transform and
tf_keras, which takes seconds. They decide nothing by a tensor, and call no code of the user's: what the layer applies
is a graph by then.
"""

from __future__ import annotations

from typing import Any

_MODULES = ("tensorflow_transform.output_wrapper", "tensorflow_transform.saved")


def with_libraries(original: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replaces `CONVERSION_RULES` of `tensorflow/python/autograph/core/config.py`; rules that are there go first."""
    from tensorflow.python.autograph.core import config

    return (*original, *(config.DoNotConvert(module) for module in _MODULES))
