"""Models, a transform graph, hyperparameters and values by the libraries themselves; run where TFX is installed.

`python -m tests.panel.official_model FOLDER` writes them below FOLDER, with what the libraries read from them in
FOLDER/answers.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import apache_beam as beam
import keras
import keras_tuner
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils
from tfx.components.tuner import executor as tuner_executor
from tfx.types import standard_artifacts, system_artifacts

_SPEC = {
    "company": tf.io.VarLenFeature(tf.string),
    "miles": tf.io.FixedLenFeature([], tf.float32),
    "seconds": tf.io.FixedLenFeature([1], tf.int64),
}
_ROWS = [
    {"company": [name], "miles": float(number), "seconds": [number]}
    for number, name in enumerate(["Blue", "Blue", "Größe 大", "Flash", "Flash", "Flash", "with space"])
]


def _preprocess(inputs: dict[str, Any]) -> dict[str, Any]:
    company = tft.compute_and_apply_vocabulary(inputs["company"], vocab_filename="company", num_oov_buckets=2)
    tft.vocabulary(inputs["company"], vocab_filename="with counts", store_frequency=True)
    return {"company_id": company, "miles_scaled": tft.scale_to_z_score(inputs["miles"])}


def _transform(folder: Path) -> dict[str, Any]:
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(_SPEC))
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=str(folder / "temp")):
        rows = pipeline | beam.Create(_ROWS)
        _, transform_fn = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(_preprocess)
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "transform"))
        # As TFX's Transform component puts it beside.
        _ = metadata | tft_beam.WriteMetadata(str(folder / "transform" / "metadata"), pipeline)
    output = tft.TFTransformOutput(str(folder / "transform"))
    return {
        "vocabularies": {
            name: {
                "size": output.vocabulary_size_by_name(name),
                "entries": [entry.decode() for entry in output.vocabulary_by_name(name)],
            }
            for name in ("company", "with counts")
        },
        "raw": sorted(output.raw_feature_spec()),
        "transformed": sorted(output.transformed_feature_spec()),
    }


def _signatures(path: Path) -> dict[str, Any]:
    def specs(found: dict[str, tf.TensorSpec]) -> dict[str, Any]:
        return {
            name: [spec.dtype.name, None if spec.shape.rank is None else spec.shape.as_list()]
            for name, spec in found.items()
        }

    loaded = tf.saved_model.load(str(path))
    return {
        name: {
            "inputs": specs(signature.structured_input_signature[1]),
            "outputs": specs(signature.structured_outputs),
        }
        for name, signature in loaded.signatures.items()
    }


def _models(folder: Path) -> dict[str, Any]:
    output = tft.TFTransformOutput(str(folder / "transform"))
    layer = output.transform_features_layer()
    network = keras.Sequential([keras.Input((2,), name="row"), keras.layers.Dense(3)])
    serialized = [tf.TensorSpec([None], tf.string, name="examples")]

    @tf.function(input_signature=serialized)
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        row = layer(tf.io.parse_example(examples, output.raw_feature_spec()))
        return {"outputs": network(tf.stack([row["miles_scaled"]] * 2, axis=-1))}

    @tf.function(input_signature=serialized)
    def transform(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        row = layer(tf.io.parse_example(examples, output.raw_feature_spec()))
        return {"miles_scaled": row["miles_scaled"], "count": tf.size(examples, out_type=tf.int64)}

    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.track(layer)
    archive.add_endpoint("serving_default", serve)
    archive.add_endpoint("transform_features", transform)
    archive.write_out(str(folder / "model" / "Format-Serving"), verbose=False)

    class Plain(tf.Module):
        """Inputs of several types, of open and of unknown shape."""

        @tf.function(
            input_signature=[
                tf.TensorSpec(None, tf.float64, name="any"),
                tf.TensorSpec([None, 4], tf.bool, name="flags"),
                tf.TensorSpec([], tf.int32, name="one"),
            ]
        )
        def call(self, any: tf.Tensor, flags: tf.Tensor, one: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"any": any, "flags": flags, "one": tf.cast(one, tf.float16)}

    plain = Plain()
    tf.saved_model.save(plain, str(folder / "pushed"), signatures={"run": plain.call})
    return {
        "model": _signatures(folder / "model" / "Format-Serving"),
        "pushed": _signatures(folder / "pushed"),
        "tensorflow": tf.__version__,
    }


def _hyperparameters(folder: Path) -> dict[str, Any]:
    class Tuner(keras_tuner.RandomSearch):
        """A tuner without a model: the score is computed."""

        def run_trial(self, trial, *args, **kwargs) -> float:
            found = trial.hyperparameters
            found.Choice("kind", ["a", "b"])
            if found.Boolean("deep"):
                found.Int("layers", 1, 4)
            return (found.Float("rate", 1e-4, 1e-1, sampling="log") - 0.01) ** 2

    space = keras_tuner.HyperParameters()
    space.Fixed("seed", 7)
    tuner = Tuner(
        hypermodel=None,
        hyperparameters=space,
        objective=keras_tuner.Objective("default_objective", "min"),
        max_trials=4,
        seed=1,
        directory=str(folder / "tuner"),
    )
    tuner.search(verbose=0)
    outputs = {}
    for key, type_ in (
        ("best_hyperparameters", standard_artifacts.HyperParameters),
        ("tuner_results", standard_artifacts.TunerResults),
    ):
        artifact = type_()
        artifact.uri = str(folder / key)
        outputs[key] = [artifact]
    tuner_executor.write_best_hyperparameters(tuner, outputs)
    best = keras_tuner.HyperParameters.from_config(
        json.loads((folder / "best_hyperparameters" / "best_hyperparameters.txt").read_text())
    )
    trials = tuner.oracle.get_best_trials(4)
    return {
        "best": {name: best.get(name) for name in best.values},
        "kinds": {one.name: type(one).__name__ for one in best.space},
        "trials": [[trial.trial_id, trial.score, trial.hyperparameters.values] for trial in trials],
    }


def _values(folder: Path) -> list[Any]:
    kinds = standard_artifacts
    made = [
        (kinds.String, "text with 大 and\nlines"),
        (kinds.String, ""),
        (kinds.Integer, -12345678901234567890),
        (kinds.Float, 0.1),
        (kinds.Float, float("inf")),
        (kinds.Float, float("nan")),
        (kinds.Boolean, True),
        (kinds.Boolean, False),
        (kinds.JsonValue, {"a": [1, 2.5, None, {"b": "c"}]}),
        (kinds.String.annotate_as(system_artifacts.Model), "annotated"),
        (kinds.Integer.annotate_as(system_artifacts.Dataset), 4),
        (kinds.String, None),
    ]
    (folder / "values").mkdir()
    answers = []
    for number, (type_, value) in enumerate(made):
        artifact = type_()
        artifact.uri = str(folder / "values" / str(number))
        artifact.value = value
        again = type_()
        again.uri = artifact.uri
        null = artifact.get_int_custom_property("__is_null__")
        again.set_int_custom_property("__is_null__", null)
        answers.append([again.type_name, null, again.read()])
    return answers


def main(folder: Path) -> None:
    """Makes artifacts and answers in a folder."""
    answers = {"transform": _transform(folder)}
    answers["models"] = _models(folder)
    answers["hyperparameters"] = _hyperparameters(folder)
    answers["values"] = _values(folder)
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
