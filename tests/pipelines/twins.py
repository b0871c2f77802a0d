"""The taxi pipeline with a BulkInferrer, and beside each node that Beam works for a twin with the same inputs.

Run with nodes on a cluster and twins in memory, both must make the same: the model is the same too.
"""

from __future__ import annotations

from typing import Any

from tfx import v1 as tfx

from include.components.arrow_example_gen import ArrowExampleGen
from include.taxi import evaluation, pipeline
from include.taxi.sample import sample_data_root

SUFFIX = "_in_memory"


def create_pipeline(serving_dir: str) -> tfx.dsl.Pipeline:
    """Builds the pipeline, as `include.taxi.pipeline` does with the sample.

    Args:
      serving_dir: Folder for the pushed model.
    """
    example_gen = ArrowExampleGen(input_base=sample_data_root()).with_id("CsvExampleGen")
    examples = example_gen.outputs["examples"]
    statistics = tfx.components.StatisticsGen(examples=examples)
    schema_gen = tfx.components.SchemaGen(
        statistics=statistics.outputs["statistics"], infer_feature_shape=False
    )
    schema = schema_gen.outputs["schema"]
    transform = pipeline.transform(examples, schema)
    trainer = pipeline.trainer(transform, schema, pipeline.DEFAULT_TRAIN_ARGS)
    model = trainer.outputs["model"]
    evaluator = _evaluator(examples, model)
    twins = [
        tfx.components.StatisticsGen(examples=examples),
        pipeline.transform(examples, schema),
        _evaluator(examples, model),
        _inferrer(examples, model),
    ]
    for twin in twins:
        twin.with_id(twin.id + SUFFIX)
    return tfx.dsl.Pipeline(
        "twins",
        pipeline_root="",
        components=[
            *(example_gen, statistics, schema_gen, transform, trainer, evaluator),
            pipeline.pusher(model, evaluator.outputs["blessing"], serving_dir),
            _inferrer(examples, model),
            *twins,
        ],
        enable_cache=False,
    )


def _evaluator(examples: Any, model: Any) -> tfx.components.Evaluator:
    return tfx.components.Evaluator(examples=examples, model=model, eval_config=evaluation.eval_config())


def _inferrer(examples: Any, model: Any) -> tfx.components.BulkInferrer:
    return tfx.components.BulkInferrer(
        examples=examples,
        model=model,
        data_spec=tfx.proto.DataSpec(example_splits=["eval"]),
        model_spec=tfx.proto.ModelSpec(model_signature_name=["serving_default"]),
    )
