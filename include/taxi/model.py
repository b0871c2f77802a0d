"""The Trainer step: a small Keras network over the transformed features, exported for serving."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

# Keras 3 by its own name: what tf.keras means depends on what a process imported before.
import keras
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging
from tfx.components.trainer.fn_args_utils import FnArgs

# Absolute, because TFX loads this file either as include.taxi.model or as a top-level module out of
# a wheel; the pipeline itself is imported as include.taxi.pipeline in both cases.
from include.taxi import features, warm_start
from include.taxi.hyperparameters import Hyperparameters

# Rows per validation step at the end of training. The pipeline's eval_args ask for 10 steps, which
# covers the evaluation split of the sample (4,966 rows) once.
_EVAL_BATCH_SIZE = 500
# More than the training split holds, so every pass sees the rows in a fully new order.
_SHUFFLE_BUFFER = 20_000


def build_model(hyperparameters: Hyperparameters, train_steps: int) -> keras.Model:
    """Builds and compiles the network: embeddings for codes, then dense layers.

    Args:
        hyperparameters: Checked settings.
        train_steps: Steps over which the learning rate falls to 0.

    Returns:
        Model from a dictionary of [rows, 1] tensors, by transformed name, to the probability of a
        big tip, [rows, 1] float32.
    """
    inputs: dict[str, keras.KerasTensor] = {}
    columns = []
    for name in map(features.scaled_name, features.NUMERIC_FEATURES):
        inputs[name] = keras.Input(shape=(1,), name=name, dtype="float32")
        columns.append(inputs[name])
    for name, size in features.code_sizes().items():
        inputs[name] = keras.Input(shape=(1,), name=name, dtype="int64")
        embedding = keras.layers.Embedding(
            size, hyperparameters.embedding_size, name=warm_start.embedding_name(name)
        )
        columns.append(keras.layers.Flatten()(embedding(inputs[name])))

    hidden = keras.layers.Concatenate()(columns)
    hidden = keras.layers.Dropout(hyperparameters.dropout)(hidden)
    # Names of their own: a later training finds the weights by them.
    for number, units in enumerate(hyperparameters.hidden_units):
        hidden = keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")(hidden)
    probability = keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden)

    model = keras.Model(inputs, probability)
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(hyperparameters.learning_rate, train_steps)
        ),
        loss="binary_crossentropy",
        metrics=[keras.metrics.AUC(name="auc"), "binary_accuracy"],
    )
    return model


def read_rows(
    patterns: list[str], transformed: tft.TFTransformOutput, batch_size: int, seed: int | None
) -> tf.data.Dataset:
    """Reads transformed rows, endlessly and in batches.

    Args:
        patterns: File patterns of gzipped TFRecords of transformed tf.Examples.
        transformed: The Transform step's output, which knows the row format.
        batch_size: Rows per batch.
        seed: Seed of the order of the rows; None keeps the order of the files.

    Returns:
        Batches of (model inputs by name, label), every tensor [batch_size, 1].
    """
    spec = transformed.transformed_feature_spec()

    def parse(records: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        row = tf.io.parse_example(records, spec)
        return row, row.pop(features.LABEL)

    files = tf.data.Dataset.list_files(patterns, shuffle=False)
    # Serialized rows are kept in memory (a few hundred bytes each) and parsed a batch at a time.
    rows = tf.data.TFRecordDataset(files, compression_type="GZIP").cache()
    if seed is not None:
        rows = rows.shuffle(_SHUFFLE_BUFFER, seed=seed)
    return rows.repeat().batch(batch_size).map(parse).prefetch(2)


def export(network: keras.Model, transformed: tft.TFTransformOutput, folder: str) -> None:
    """Saves the network together with the Transform graph: what gets evaluated and pushed.

    By Keras's ExportArchive and not by tf.saved_model.save, whose copy of a Keras 3 model loses its
    variables when it is loaded in a TensorFlow 1 session, as BulkInferrer does.

    The SavedModel has two signatures, each from "examples", [rows] serialized tf.Examples:
        serving_default: Raw trips, any feature may be absent and the tip is never read, to "outputs",
            [rows, 1] float32, the probability of a big tip.
        transform_features: Raw trips with the tip to [rows, 1] tensors by transformed name, for the
            Evaluator.

    Args:
        network: Trained model of `build_model`.
        transformed: The Transform step's output.
        folder: Where the SavedModel goes.
    """
    transform = transformed.transform_features_layer()
    raw_spec = optional_spec(transformed.raw_feature_spec())
    serialized = [tf.TensorSpec([None], tf.string, name="examples")]

    @tf.function(input_signature=serialized)
    def predict(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {name: raw_spec[name] for name in features.MODEL_INPUTS}
        row = transform(tf.io.parse_example(examples, spec))
        inputs = {name: row[name] for name in network.input}
        return {"outputs": network(inputs, training=False)}

    @tf.function(input_signature=serialized)
    def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {name: raw_spec[name] for name in (*features.MODEL_INPUTS, features.RAW_LABEL)}
        return transform(tf.io.parse_example(examples, spec))

    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.track(transform)
    archive.add_endpoint("serving_default", predict)
    archive.add_endpoint("transform_features", transform_features)
    archive.write_out(folder, verbose=False)


def optional_spec(raw_spec: dict[str, Any]) -> dict[str, Any]:
    """Makes every raw feature optional when parsing.

    A schema with fixed shapes makes features mandatory; a request may still lack them. Such a
    feature then reads as its type's zero, because a dense tensor has no notion of missing.

    Args:
        raw_spec: Feature name to tf.io parsing configuration.

    Returns:
        The same with a default for each fixed-length feature.
    """
    spec = {}
    for name, config in raw_spec.items():
        if isinstance(config, tf.io.FixedLenFeature) and config.default_value is None:
            # As a NumPy value: an eager tensor could not be saved with the signatures.
            config = config._replace(default_value=tf.zeros(config.shape, config.dtype).numpy())
        spec[name] = config
    return spec


def run_fn(fn_args: FnArgs) -> None:
    """Trains the network and saves it with its serving signatures.

    Source: https://www.tensorflow.org/tfx/guide/trainer. Called by the Trainer component.

    Args:
        fn_args: File patterns, step counts, target folders, and the settings in custom_config.

    Raises:
        ValueError: A hyperparameter or a step count is not acceptable.
    """
    hyperparameters = Hyperparameters.from_config(
        {**Hyperparameters.tuned(fn_args.hyperparameters), **(fn_args.custom_config or {})}
    )
    if not fn_args.train_steps or fn_args.train_steps < 1:
        raise ValueError(f"train_args num_steps = {fn_args.train_steps!r} is not positive.")
    keras.utils.set_random_seed(hyperparameters.seed)

    transformed = tft.TFTransformOutput(fn_args.transform_output)
    train_rows = read_rows(fn_args.train_files, transformed, hyperparameters.batch_size, hyperparameters.seed)
    eval_rows = read_rows(fn_args.eval_files, transformed, _EVAL_BATCH_SIZE, seed=None)

    network = build_model(hyperparameters, fn_args.train_steps)
    warm = warm_start.load(network, transformed, fn_args.base_model)
    history = network.fit(
        train_rows,
        steps_per_epoch=fn_args.train_steps,
        validation_data=eval_rows,
        validation_steps=fn_args.eval_steps,
        verbose=2,
        shuffle=False,  # the rows are shuffled already
    )
    logging.info("Trained with %s: %s", hyperparameters, history.history)
    record = {"hyperparameters": dataclasses.asdict(hyperparameters), "warm_start": warm, **history.history}
    record_path = os.path.join(fn_args.model_run_dir, "training.json")
    tf.io.gfile.makedirs(fn_args.model_run_dir)
    with tf.io.gfile.GFile(record_path, "w") as file:
        json.dump(record, file, indent=2)

    export(network, transformed, fn_args.serving_model_dir)
    warm_start.save(network, transformed, fn_args.serving_model_dir)
