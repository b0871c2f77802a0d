"""The pipeline: nine components from a CSV file of taxi trips to a pushed model."""

from __future__ import annotations

import importlib.util
import os

from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.dsl.components.base import base_node

from include.taxi import evaluation
from include.taxi.hyperparameters import Hyperparameters
from include.taxi.model import EVAL_BATCH_SIZE

_FOLDER = os.path.dirname(os.path.abspath(__file__))

DEFAULT_TRAIN_ARGS = '{"num_steps": 600}'
BEAM_PIPELINE_ARGS: tuple[str, ...] = (
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
)


def sample_data_root() -> str:
    spec = importlib.util.find_spec("tfx")
    package = list(spec.submodule_search_locations)[0]
    return os.path.join(package, "examples", "chicago_taxi_pipeline", "data", "simple")


def create_pipeline(
    pipeline_name: str = "taxi_retraining",
    pipeline_root: str = "",
    data_root: str | None = None,
    serving_dir: str = "serving",
    schema_file: str | None = None,
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
) -> tfx.dsl.Pipeline:
    examples = tfx.components.CsvExampleGen(input_base=data_root or sample_data_root())
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    if schema_file:
        schema = tfx.components.ImportSchemaGen(schema_file=schema_file)
    else:
        schema = tfx.components.SchemaGen(
            statistics=statistics.outputs["statistics"], infer_feature_shape=False
        )
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        module_file=os.path.join(_FOLDER, "preprocessing.py"),
        disable_analyzer_cache=True,
        disable_statistics=bool(int(os.environ.get("DS", "1"))),
    )
    trainer = tfx.components.Trainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        module_file=os.path.join(_FOLDER, "model.py"),
        train_args=tfx.dsl.experimental.RuntimeParameter(
            name="train_args", ptype=str, default=DEFAULT_TRAIN_ARGS
        ),
        eval_args=tfx.proto.EvalArgs(num_steps=10),
        custom_config=tfx.dsl.experimental.RuntimeParameter(
            name="hyperparameters", ptype=str, default=Hyperparameters().to_json()
        ),
    )
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    evaluator = tfx.components.Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=resolver.outputs["model"],
        eval_config=evaluation.eval_config(),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=serving_dir)
        ),
    )
    components: list[base_node.BaseNode] = [
        examples, statistics, schema, validator, transform, trainer, resolver, evaluator, pusher,
    ]
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=components,
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(beam_pipeline_args or BEAM_PIPELINE_ARGS),
    )
