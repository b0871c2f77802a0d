"""The pipeline: nine components from a CSV file of taxi trips to a pushed model."""

from __future__ import annotations

import os
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

from include.components.arrow_example_gen import ArrowExampleGen
from include.taxi import evaluation
from include.taxi.sample import sample_data_root

_FOLDER = os.path.dirname(os.path.abspath(__file__))

# 400 steps of 128 rows are 5 passes over the 10,036 training rows of the sample. 600 steps reach
# the same AUC, 1,000 a lower one.
DEFAULT_TRAIN_ARGS = '{"num_steps": 400}'
_EVAL_STEPS = 10

# One process, one worker: on data this small, starting Beam worker processes costs several times
# the work they share.
DEFAULT_BEAM_ARGS: tuple[str, ...] = (
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    # Never used in one process. But unless Beam's workers are given an image or a package, TFX builds
    # a source package of itself for them, which takes 2 to 4 seconds in each of the four Beam components.
    "--sdk_container_image=unused",
)


def create_pipeline(
    pipeline_name: str = "taxi",
    pipeline_root: str = "",
    data_root: str | None = None,
    serving_dir: str = "serving_model",
    schema_file: str | None = None,
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline; a model is pushed only when the Evaluator blesses it.

    Two settings can change from run to run, as runtime parameters holding JSON: "train_args"
    (number of training steps) and "hyperparameters" (see hyperparameters.Hyperparameters).

    Args:
        pipeline_name: Name under which runs and artifacts are recorded.
        pipeline_root: Folder for the artifacts.
        data_root: Folder of CSV files with a header line; None for the sample in the tfx package.
        serving_dir: Folder that receives one numbered subfolder per pushed model.
        schema_file: Reviewed schema in text format; None to infer one from the data.
        beam_pipeline_args: Options for Beam; None for the in-memory runner with one worker.
        enable_cache: Whether a component with unchanged inputs reuses its earlier outputs.
        metadata_connection_config: ML Metadata database; None when the orchestrator supplies it.

    Returns:
        The pipeline, to be run by any TFX orchestrator.
    """
    # Under the name of TFX's own, as which stores and links know it.
    example_gen = ArrowExampleGen(input_base=data_root or sample_data_root()).with_id("CsvExampleGen")
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    if schema_file:
        schema_gen = tfx.components.ImportSchemaGen(schema_file=schema_file)
    else:
        # Without fixed shapes every column is optional, so that a serving request may leave out any
        # of them; how often a value must be present is still recorded and validated.
        schema_gen = tfx.components.SchemaGen(
            statistics=statistics_gen.outputs["statistics"], infer_feature_shape=False
        )
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transform_ = transform(example_gen.outputs["examples"], schema_gen.outputs["schema"])
    trainer_ = trainer(transform_, schema_gen.outputs["schema"], DEFAULT_TRAIN_ARGS)
    blessed_model = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    evaluator = tfx.components.Evaluator(
        # Raw rows, because the model is evaluated through the signature it is served with.
        examples=example_gen.outputs["examples"],
        model=trainer_.outputs["model"],
        baseline_model=blessed_model.outputs["model"],
        eval_config=evaluation.eval_config(),
    )
    pusher_ = pusher(trainer_.outputs["model"], evaluator.outputs["blessing"], serving_dir)
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            transform_,
            trainer_,
            blessed_model,
            evaluator,
            pusher_,
        ],
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(beam_pipeline_args or DEFAULT_BEAM_ARGS),
    )


def transform(examples: Any, schema: Any) -> tfx.components.Transform:
    """The Transform step.

    Args:
        examples: Channel of Examples with splits train and eval; several artifacts count as one.
        schema: Channel of the Schema.

    Returns:
        The component.
    """
    return tfx.components.Transform(
        examples=examples,
        schema=schema,
        module_file=os.path.join(_FOLDER, "preprocessing.py"),
        # The cache helps when spans of data are added one by one, and statistics when transformed
        # features are inspected; neither is used here and both take time.
        disable_analyzer_cache=True,
        disable_statistics=True,
    )


def trainer(
    transformed: tfx.components.Transform,
    schema: Any,
    train_args: str,
    base_model: Any = None,
    hyperparameters: Any = None,
) -> tfx.components.Trainer:
    """The Trainer step, with the runtime parameters "train_args" and "hyperparameters".

    Args:
        transformed: The Transform step.
        schema: Channel of the Schema.
        train_args: Default of the number of steps, JSON.
        base_model: Channel of the Model from which training starts; None or empty for a cold start.
        hyperparameters: Channel of a Tuner's HyperParameters; a run's own settings go before them.

    Returns:
        The component.
    """
    return tfx.components.Trainer(
        examples=transformed.outputs["transformed_examples"],
        transform_graph=transformed.outputs["transform_graph"],
        schema=schema,
        base_model=base_model,
        hyperparameters=hyperparameters,
        module_file=os.path.join(_FOLDER, "model.py"),
        train_args=tfx.dsl.experimental.RuntimeParameter(name="train_args", ptype=str, default=train_args),
        eval_args=tfx.proto.EvalArgs(num_steps=_EVAL_STEPS),
        custom_config=tfx.dsl.experimental.RuntimeParameter(
            name="hyperparameters",
            ptype=str,
            default="{}",
            description="Settings that differ from the defaults, see include/taxi/hyperparameters.py",
        ),
    )


def pusher(model: Any, blessing: Any, serving_dir: str) -> tfx.components.Pusher:
    """The Pusher step: a blessed model becomes a numbered folder below `serving_dir`.

    Args:
        model: Channel of the Model.
        blessing: Channel of its ModelBlessing.
        serving_dir: Folder.

    Returns:
        The component.
    """
    return tfx.components.Pusher(
        model=model,
        model_blessing=blessing,
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=serving_dir)
        ),
    )
