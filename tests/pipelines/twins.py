"""The taxi pipeline with a BulkInferrer, and beside each node that Beam works for a twin with the same inputs.

Run with nodes on a cluster and twins in memory, both must make the same: the model is the same too.
"""

from __future__ import annotations

from typing import Any

from tfx import v1 as tfx

from include.taxi import evaluation, pipeline

SUFFIX = "_in_memory"


def create_pipeline(**arguments: Any) -> tfx.dsl.Pipeline:
    """Builds the pipeline, with arguments of the taxi pipeline."""
    taxi = pipeline.create_pipeline(**arguments)
    nodes = {node.id: node for node in taxi.components}
    examples = nodes["CsvExampleGen"].outputs["examples"]
    schema = nodes["SchemaGen"].outputs["schema"]
    model = nodes["Trainer"].outputs["model"]
    baseline = nodes["latest_blessed_model_resolver"].outputs["model"]
    twins = [
        tfx.components.StatisticsGen(examples=examples),
        pipeline.transform(examples, schema),
        tfx.components.Evaluator(
            examples=examples,
            model=model,
            baseline_model=baseline,
            eval_config=evaluation.eval_config(),
        ),
        _inferrer(examples, model),
    ]
    for twin in twins:
        twin.with_id(twin.id + SUFFIX)
    return tfx.dsl.Pipeline(
        "twins",
        pipeline_root="",
        components=[*taxi.components, _inferrer(examples, model), *twins],
        enable_cache=False,
    )


def _inferrer(examples: Any, model: Any) -> tfx.components.BulkInferrer:
    return tfx.components.BulkInferrer(
        examples=examples,
        model=model,
        data_spec=tfx.proto.DataSpec(example_splits=["eval"]),
        model_spec=tfx.proto.ModelSpec(model_signature_name=["serving_default"]),
    )
