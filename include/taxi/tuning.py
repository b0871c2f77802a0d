"""The tuning pipeline: hyper-parameters from a search on the months that retraining has read."""

from __future__ import annotations

from tfx import v1 as tfx
from tfx.types import channel_utils

from include.components.anomaly_gate import AnomalyGate
from include.components.chosen import ChosenNumber, ExamplesOfSpan
from include.components.rolling_window import RollingWindow
from include.taxi import family, pipeline
from include.taxi.retraining import SCHEMA_FILE

DEFAULT_TRAIN_ARGS = '{"num_steps": 100}'
DEFAULT_SEARCH = '{"max_trials": 8}'
# Of 500 rows. A window of six months has some 480 in its eval split.
_EVAL_STEPS = 1


def create_pipeline(
    pipeline_name: str = family.TUNING,
    pipeline_root: str = "",
    rolling_window: int = 6,
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline of one search; the next retraining on a later span starts from what it found.

    Nothing is read from outside: the trips are examples in the MLMD store that `include.taxi.retraining` has read
    and that passed its anomaly gate. Runtime parameters: "span" is the newest month that
    the search may see, "search" its length, "train_args" the number of steps of each trial.

    Args:
        pipeline_name: Name under which runs and artifacts are recorded; retraining looks below the default.
        pipeline_root: Folder for the artifacts.
        rolling_window: Number of spans, the newest included.
        beam_pipeline_args: Options for Beam; None for the in-memory runner with one worker.
        enable_cache: Whether a component with unchanged inputs reuses its earlier outputs.

    Returns:
        The pipeline, to be run by any TFX orchestrator.
    """
    parameter = tfx.dsl.experimental.RuntimeParameter
    gate = AnomalyGate.get_class_type()
    chosen = ChosenNumber(number=parameter(name="span", ptype=int))
    newest = tfx.dsl.Resolver(
        strategy_class=ExamplesOfSpan,
        config={"gate": gate},
        examples=family.spans(),
        span=chosen.outputs["chosen"],
    ).with_id("examples_of_span")
    window = tfx.dsl.Resolver(
        strategy_class=RollingWindow,
        config={"spans": rolling_window - 1, "at_least": 0, "gate": gate},
        examples=family.spans(),
        newest=newest.outputs["examples"],
    ).with_id("rolling_window")
    schema_gen = tfx.components.ImportSchemaGen(schema_file=SCHEMA_FILE)
    schema = schema_gen.outputs["schema"]
    transform = pipeline.transform(
        channel_utils.union([window.outputs["examples"], newest.outputs["examples"]]), schema
    )
    tuner = tfx.components.Tuner(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema,
        tuner_fn="include.taxi.search.tuner_fn",
        train_args=parameter(name="train_args", ptype=str, default=DEFAULT_TRAIN_ARGS),
        eval_args=tfx.proto.EvalArgs(num_steps=_EVAL_STEPS),
    )
    # Set here because the constructor would serialize a RuntimeParameter as JSON, instead of leaving it to the run.
    tuner.exec_properties["custom_config"] = parameter(
        name="search", ptype=str, default=DEFAULT_SEARCH, description="Number of trials"
    )
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[chosen, newest, window, schema_gen, transform, tuner],
        enable_cache=enable_cache,
        beam_pipeline_args=list(beam_pipeline_args or pipeline.DEFAULT_BEAM_ARGS),
    )
