"""Parts of tf_keras and TensorFlow Transform that TensorFlow's AutoGraph leaves as they are.

AutoGraph turns Python's `if` and `while` into operations of the graph, in everything that a traced function calls. It
makes an exception of Keras by the name that Keras 2 had, and as tf_keras each call of a layer has some fifty of its
functions rewritten: seconds for a model with a TransformFeaturesLayer. User code that Keras calls is still rewritten: of
a layer's `call`, of losses and metrics Keras itself asks for it, and the modules of layers are not named here.
"""

from __future__ import annotations

from typing import Any

_MODULES = (
    "tf_keras.src.engine",
    "tf_keras.src.utils",
    "tensorflow_transform.output_wrapper",
    "tensorflow_transform.saved",
)


def with_libraries(original: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replaces `CONVERSION_RULES` of `tensorflow/python/autograph/core/config.py`; rules that are there go first."""
    from tensorflow.python.autograph.core import config

    return (*original, *(config.DoNotConvert(module) for module in _MODULES))
