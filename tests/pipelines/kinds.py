"""A pipeline with the kinds of nodes that the taxi pipeline does not have, on data of three columns.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

from typing import Any

import apache_beam as beam
import keras
import keras_tuner
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import channel_utils, component_spec

_String = tfx.types.standard_artifacts.String
_FEATURES = {name: tf.io.FixedLenFeature([], tf.float32) for name in ("a", "b")}


class CountSpec(component_spec.ComponentSpec):
    """Interface of Count."""

    PARAMETERS = {"label": component_spec.ExecutionParameter(type=str)}
    INPUTS = {"examples": component_spec.ChannelParameter(type=tfx.types.standard_artifacts.Examples)}
    OUTPUTS = {"count": component_spec.ChannelParameter(type=_String)}


class CountExecutor(base_executor.BaseExecutor):
    """Counts the records of the training split."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        """Writes the label and the count."""
        pattern = f"{input_dict['examples'][0].uri}/Split-train/*"
        records = tf.data.TFRecordDataset(tf.io.gfile.glob(pattern), compression_type="GZIP")
        number = sum(1 for _ in records)
        output_dict["count"][0].write(f"{exec_properties['label']} {number}")


class Count(base_component.BaseComponent):
    """A custom component as a class."""

    SPEC_CLASS = CountSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(CountExecutor)

    def __init__(self, examples: Any, label: Any):
        """Takes examples, and a label that may be known only in the run."""
        count = channel_utils.as_channel([_String()])
        super().__init__(CountSpec(examples=examples, label=label, count=count))


@component
def Label(text: tfx.dsl.components.OutputArtifact[_String]) -> None:
    """A value that another node takes as a parameter."""
    text.value = "counted:"


@component(use_beam=True)
def AddWithBeam(
    total: tfx.dsl.components.OutputArtifact[_String],
    pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """A function component that runs a Beam pipeline."""
    with pipeline as p:
        (
            p
            | beam.Create([1, 2, 3, 4])
            | beam.CombineGlobally(sum)
            | beam.Map(str)
            | beam.io.WriteToText(total.uri, shard_name_template="")
        )


def _dataset(fn_args: FnArgs) -> tf.data.Dataset:
    def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        row = tf.io.parse_single_example(record, {**_FEATURES, "y": tf.io.FixedLenFeature([], tf.float32)})
        return tf.stack([row["a"], row["b"]]), row["y"]

    files = tf.io.gfile.glob(fn_args.train_files)
    return tf.data.TFRecordDataset(files, compression_type="GZIP").map(parse).batch(16).repeat()


def _model(hyperparameters: keras_tuner.HyperParameters) -> keras.Model:
    rate = hyperparameters.Choice("rate", [0.01, 0.1])
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Searches over the learning rate."""
    tuner = keras_tuner.RandomSearch(
        _model, keras_tuner.Objective("loss", "min"), max_trials=2, directory=fn_args.working_dir, seed=1
    )
    return TunerFnResult(tuner, {"x": _dataset(fn_args), "steps_per_epoch": 5})


def run_fn(fn_args: FnArgs) -> None:
    """Trains with the best hyper-parameters; serves raw tf.Examples."""
    hyperparameters = keras_tuner.HyperParameters.from_config(fn_args.hyperparameters)
    model = _model(hyperparameters)
    model.fit(_dataset(fn_args), steps_per_epoch=fn_args.train_steps, verbose=0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.io.parse_example(examples, _FEATURES)
        return {"outputs": model(tf.stack([rows["a"], rows["b"]], axis=1))}

    # Not tf.saved_model.save: BulkInferrer loads in a TF 1 session, which does not find its variables then.
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve)
    archive.write_out(fn_args.serving_model_dir, verbose=False)


def create_pipeline(data_root: str, schema_file: str) -> tfx.dsl.Pipeline:
    """Importer, ImportSchemaGen, Tuner, BulkInferrer, custom components and a dynamic property."""
    examples = tfx.components.CsvExampleGen(input_base=data_root)
    schema = tfx.components.ImportSchemaGen(schema_file=schema_file)
    imported = tfx.dsl.Importer(
        source_uri=data_root,
        artifact_type=tfx.types.standard_artifacts.Examples,
        custom_properties={"origin": "a test"},
    ).with_id("importer")
    tuner = tfx.components.Tuner(
        tuner_fn="tests.pipelines.kinds.tuner_fn",
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=5),
        eval_args=tfx.proto.EvalArgs(num_steps=1),
    )
    trainer = tfx.components.Trainer(
        run_fn="tests.pipelines.kinds.run_fn",
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        hyperparameters=tuner.outputs["best_hyperparameters"],
        train_args=tfx.proto.TrainArgs(num_steps=20),
        eval_args=tfx.proto.EvalArgs(num_steps=1),
    )
    inferrer = tfx.components.BulkInferrer(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        data_spec=tfx.proto.DataSpec(),
        model_spec=tfx.proto.ModelSpec(),
    )
    label = Label()
    count = Count(examples=examples.outputs["examples"], label=label.outputs["text"].future()[0].value)
    return tfx.dsl.Pipeline(
        "kinds",
        pipeline_root="",
        components=[examples, schema, imported, tuner, trainer, inferrer, label, count, AddWithBeam()],
        beam_pipeline_args=["--direct_running_mode=in_memory"],
    )
