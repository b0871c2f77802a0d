"""The taxi pipeline for one region, short enough for a DAG to contain it once per region: in task groups, or mapped.

What is known only in the run, such as the trips of a region that is found there, is a runtime parameter.
"""

from __future__ import annotations

import os

from tfx import v1 as tfx

from include.components.arrow_example_gen import ArrowExampleGen
from include.taxi import evaluation, pipeline

_SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema.pbtxt")


def create_pipeline(
    trips: str | None = None,
    serving_dir: str | None = None,
    pipeline_name: str = "taxi_region",
    pipeline_root: str = "",
    min_auc: float = 0.8,
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline; the baseline is the model of the same region that was blessed last.

    Args:
        trips: Folder of CSV files; None makes it the runtime parameter "trips".
        serving_dir: Folder that receives one numbered subfolder per pushed model; None makes the whole push
            destination, as JSON, the runtime parameter "push_destination".
        pipeline_name: Name under which runs and artifacts are recorded.
        pipeline_root: Folder for the artifacts.
        min_auc: Lower bound of the AUC.
        beam_pipeline_args: Options for Beam; None for the in-memory runner with one worker.
        enable_cache: Whether a component with unchanged inputs reuses its earlier outputs.

    Returns:
        The pipeline, to be run by any TFX orchestrator.
    """
    parameter = tfx.dsl.experimental.RuntimeParameter
    example_gen = ArrowExampleGen(input_base=trips or parameter(name="trips", ptype=str)).with_id(
        "CsvExampleGen"
    )
    # The types of the columns must not depend on a region's trips.
    schema = tfx.components.ImportSchemaGen(schema_file=_SCHEMA)
    transform = pipeline.transform(example_gen.outputs["examples"], schema.outputs["schema"])
    trainer = pipeline.trainer(transform, schema.outputs["schema"], '{"num_steps": 200}')
    baseline = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("baseline")
    # A region has too few trips for slices.
    judgement = evaluation.Judgement(min_auc, 0.5, 0.05, 0.05, slice_features=(), slice_companies=())
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=evaluation.eval_config(judgement),
    )
    if serving_dir:
        pusher = pipeline.pusher(trainer.outputs["model"], evaluator.outputs["blessing"], serving_dir)
    else:
        pusher = tfx.components.Pusher(
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            push_destination=parameter(name="push_destination", ptype=str),
        )
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[example_gen, schema, transform, trainer, baseline, evaluator, pusher],
        enable_cache=enable_cache,
        beam_pipeline_args=list(beam_pipeline_args or pipeline.DEFAULT_BEAM_ARGS),
    )
