"""The batch inference pipeline: what the served model says about the trips of a month."""

from __future__ import annotations

from tfx import v1 as tfx

from include.components.chosen import ChosenNumber, ExamplesOfSpan
from include.components.served_model import ServedModel
from include.taxi import family, pipeline
from include.taxi.predictions import WritePredictions


def create_pipeline(
    pipeline_name: str = "taxi_batch_inference",
    pipeline_root: str = "",
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline; without a pushed model, a run of it is skipped.

    Model and trips are those of `include.taxi.retraining`, found in the MLMD store. The model's serving_default
    signature reads a trip as it is known at its end, and never the tip. Runtime parameter: "span" is the
    month, 0 for the month on which the served model was judged.

    Args:
        pipeline_name: Name under which runs and artifacts are recorded.
        pipeline_root: Folder for the artifacts.
        beam_pipeline_args: Options for Beam; None for the in-memory runner with one worker.
        enable_cache: Whether a component with unchanged inputs reuses its earlier outputs.

    Returns:
        The pipeline, to be run by any TFX orchestrator.
    """
    served = tfx.dsl.Resolver(
        strategy_class=ServedModel, model=family.trained_models(), pushed=family.pushed_models()
    ).with_id("served_model")
    chosen = ChosenNumber(number=tfx.dsl.experimental.RuntimeParameter(name="span", ptype=int))
    trips = tfx.dsl.Resolver(
        strategy_class=ExamplesOfSpan,
        examples=family.spans(),
        span=chosen.outputs["chosen"],
        behind=served.outputs["pushed"],
    ).with_id("examples_of_span")
    inferrer = tfx.components.BulkInferrer(
        examples=trips.outputs["examples"],
        model=served.outputs["model"],
        data_spec=tfx.proto.DataSpec(),
        model_spec=tfx.proto.ModelSpec(model_signature_name=["serving_default"]),
    )
    predictions = WritePredictions(inference_result=inferrer.outputs["inference_result"])
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[served, chosen, trips, inferrer, predictions],
        enable_cache=enable_cache,
        beam_pipeline_args=list(beam_pipeline_args or pipeline.DEFAULT_BEAM_ARGS),
    )
