"""Starts training from an earlier model, whose vocabularies may be ordered differently.

    <SavedModel>/assets.extra/network.npz   the weights by layer, and the vocabulary of each string feature

A code is the rank of a value in the training data, so next month's code 3 may be another company. An
embedding's rows are therefore carried over by value, not by code. The rest of what the Transform step
learns (means, quantiles) drifts little from month to month, and training adjusts to it.
"""

from __future__ import annotations

import io
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging

from include.taxi import features

_FILE = os.path.join("assets.extra", "network.npz")


def embedding_name(feature: str) -> str:
    """Returns the name of the layer that embeds a feature's codes."""
    return f"{feature}_embedding"


def save(network: keras.Model, transformed: tft.TFTransformOutput, folder: str) -> None:
    """Saves what a later training needs beside a SavedModel.

    Args:
        network: Trained model of `model.build_model`.
        transformed: The Transform step's output that it was trained with.
        folder: The SavedModel's folder.
    """
    arrays = {
        f"{layer.name}/{index}": value
        for layer in network.layers
        for index, value in enumerate(layer.get_weights())
    }
    for name, values in _vocabularies(transformed).items():
        arrays[f"vocabulary/{name}"] = np.array(values, dtype=object).astype(str)
    path = os.path.join(folder, _FILE)
    tf.io.gfile.makedirs(os.path.dirname(path))
    # Through memory: zip files need to seek, which GFile cannot when writing.
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(buffer.getvalue())


def load(network: keras.Model, transformed: tft.TFTransformOutput, folder: str | None) -> bool:
    """Puts the weights of an earlier model into a new network of the same shape.

    Args:
        network: Freshly built model; unchanged when the result is False.
        transformed: The Transform step's output of this run.
        folder: Folder of the earlier SavedModel; None when there is none.

    Returns:
        Whether training starts warm. If not, the log says why.
    """
    if folder is None:
        logging.info("Cold start: no model was blessed before this span.")
        return False
    path = os.path.join(folder, _FILE)
    if not tf.io.gfile.exists(path):
        logging.warning("Cold start: %s does not exist; that model was made elsewhere.", path)
        return False
    with tf.io.gfile.GFile(path, "rb") as file:
        stored: dict[str, Any] = dict(np.load(io.BytesIO(file.read()), allow_pickle=False))
    fresh = {layer.name: layer.get_weights() for layer in network.layers if layer.get_weights()}
    shapes = {
        f"{name}/{index}": value.shape for name, values in fresh.items() for index, value in enumerate(values)
    }
    others = {key: value.shape for key, value in stored.items() if not key.startswith("vocabulary/")}
    if shapes != others:
        different = sorted(key for key in {*shapes, *others} if shapes.get(key) != others.get(key))
        logging.warning("Cold start: the network of %s has another shape in %s.", folder, different)
        return False
    for name, values in fresh.items():
        network.get_layer(name).set_weights([stored[f"{name}/{index}"] for index in range(len(values))])
    for name, values in _vocabularies(transformed).items():
        layer = network.get_layer(embedding_name(features.code_name(name)))
        [rows] = fresh[layer.name]
        earlier = [str(value) for value in stored[f"vocabulary/{name}"]]
        layer.set_weights([carried_over(rows, stored[f"{layer.name}/0"], values, earlier)])
    logging.info("Warm start from %s.", folder)
    return True


def carried_over(fresh: np.ndarray, stored: np.ndarray, values: list[str], earlier: list[str]) -> np.ndarray:
    """Orders the rows of an embedding by a new vocabulary.

    Args:
        fresh: [codes, size] initial rows, kept by values that the earlier vocabulary does not have.
        stored: [codes, size] rows of the earlier model.
        values: The new vocabulary; a value's code is its place, and the next code is for all others.
        earlier: The earlier vocabulary.

    Returns:
        [codes, size] rows.
    """
    rows = fresh.copy()
    places = {value: place for place, value in enumerate(earlier)}
    for place, value in enumerate(values):
        if value in places:
            rows[place] = stored[places[value]]
    rows[len(values)] = stored[len(earlier)]
    return rows


def _vocabularies(transformed: tft.TFTransformOutput) -> dict[str, list[str]]:
    return {
        name: [value.decode("utf-8", "replace") for value in transformed.vocabulary_by_name(name)]
        for name in features.VOCABULARY_FEATURES
    }
