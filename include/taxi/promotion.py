"""The promotion pipeline, short enough for a task group: a trained model is evaluated again, and pushed if a person says so."""

from __future__ import annotations

import dataclasses

from tfx import v1 as tfx

from include.components.approval import Approval
from include.components.chosen import ChosenModel, ChosenNumber, ExamplesOfSpan
from include.components.served_model import ServedModel
from include.taxi import evaluation, family, pipeline


def create_pipeline(
    pipeline_name: str = "taxi_promotion",
    pipeline_root: str = "",
    serving_dir: str = "serving_model",
    min_auc: float = 0.91,
    min_accuracy: float = 0.85,
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline; the Pusher is in a Cond and is skipped when the model is not approved.

    Models and trips are those of `include.taxi.retraining`, found in the MLMD store. The Evaluator compares the model
    with the one that this pipeline has pushed last, if any; its verdict is for the person who approves. Runtime
    parameters: "span" is the month on which the model is judged, one that it was not trained on; "model" is its id,
    0 for the one that was trained last; "approved", "approved_by", "reason" and "answered_at" are the person's
    answer, see `include.components.approval`. Without them the model is not pushed.

    Args:
        pipeline_name: Name under which runs and artifacts are recorded.
        pipeline_root: Folder for the artifacts.
        serving_dir: Folder that receives one numbered subfolder per pushed model.
        min_auc: Lower bound of the AUC.
        min_accuracy: Lower bound of the accuracy.
        beam_pipeline_args: Options for Beam; None for the in-memory runner with one worker.
        enable_cache: Whether a component with unchanged inputs reuses its earlier outputs.

    Returns:
        The pipeline, to be run by any TFX orchestrator.
    """
    parameter = tfx.dsl.experimental.RuntimeParameter
    span = ChosenNumber(number=parameter(name="span", ptype=int)).with_id("chosen_span")
    number = ChosenNumber(
        number=parameter(
            name="model",
            ptype=int,
            default=0,
            description="Id of a Model artifact; 0 for the one trained last",
        )
    ).with_id("chosen_model_id")
    trips = tfx.dsl.Resolver(
        strategy_class=ExamplesOfSpan, examples=family.spans(), span=span.outputs["chosen"]
    ).with_id("examples_of_span")
    candidate = tfx.dsl.Resolver(
        strategy_class=ChosenModel,
        model=family.trained_models(),
        chosen=number.outputs["chosen"],
        examples=trips.outputs["examples"],
    ).with_id("candidate")
    standard = tfx.types.standard_artifacts
    production = tfx.dsl.Resolver(
        strategy_class=ServedModel,
        config={"required": False},
        model=family.trained_models(),
        pushed=tfx.dsl.Channel(type=standard.PushedModel),
    ).with_id("production_model")
    judgement = dataclasses.replace(
        evaluation.MONTHLY, min_auc=min_auc, min_accuracy=min_accuracy, slice_features=(), slice_companies=()
    )
    evaluator = tfx.components.Evaluator(
        examples=trips.outputs["examples"],
        example_splits=["train", "eval"],
        model=candidate.outputs["model"],
        baseline_model=production.outputs["model"],
        eval_config=evaluation.eval_config(judgement),
    )
    approval = Approval(
        model=candidate.outputs["model"],
        verdict=evaluator.outputs["blessing"],
        approved=parameter(name="approved", ptype=int, default=0),
        approved_by=parameter(name="approved_by", ptype=str, default=""),
        reason=parameter(name="reason", ptype=str, default=""),
        answered_at=parameter(name="answered_at", ptype=str, default=""),
    )
    blessing = approval.outputs["blessing"]
    with tfx.dsl.Cond(blessing.future()[0].custom_property("blessed") == 1):
        pusher = pipeline.pusher(candidate.outputs["model"], blessing, serving_dir)
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[span, number, trips, candidate, production, evaluator, approval, pusher],
        enable_cache=enable_cache,
        beam_pipeline_args=list(beam_pipeline_args or pipeline.DEFAULT_BEAM_ARGS),
    )
