"""The taxi pipeline for one region with nodes that neither transform, train nor evaluate: see include/taxi/regional.py.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

import os

from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

from include.components.arrow_example_gen import ArrowExampleGen

_Model = tfx.types.standard_artifacts.Model
_Blessing = tfx.types.standard_artifacts.ModelBlessing


@component
def Train(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    model: tfx.dsl.components.OutputArtifact[_Model],
) -> None:
    """A model that knows where its examples are."""
    serving = os.path.join(model.uri, "Format-Serving")
    os.makedirs(serving)
    with open(os.path.join(serving, "examples"), "w", encoding="utf-8") as file:
        file.write(examples.uri)


@component
def Bless(
    model: tfx.dsl.components.InputArtifact[_Model],
    blessing: tfx.dsl.components.OutputArtifact[_Blessing],
    baseline: tfx.dsl.components.InputArtifact[_Model] = None,
) -> None:
    """Blesses any model, as an Evaluator does."""
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_int_custom_property("current_model_id", model.id)


def create_pipeline(trips: str | None = None, serving_dir: str | None = None) -> tfx.dsl.Pipeline:
    """Its arguments, its runtime parameters and the ids of its nodes."""
    parameter = tfx.dsl.experimental.RuntimeParameter
    example_gen = ArrowExampleGen(input_base=trips or parameter(name="trips", ptype=str)).with_id(
        "CsvExampleGen"
    )
    trainer = Train(examples=example_gen.outputs["examples"]).with_id("Trainer")
    baseline = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=_Model),
        model_blessing=tfx.dsl.Channel(type=_Blessing),
    ).with_id("baseline")
    evaluator = Bless(model=trainer.outputs["model"], baseline=baseline.outputs["model"]).with_id("Evaluator")
    destination = tfx.proto.PushDestination(
        filesystem=tfx.proto.PushDestination.Filesystem(base_directory=serving_dir)
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=destination if serving_dir else parameter(name="push_destination", ptype=str),
    )
    return tfx.dsl.Pipeline(
        "taxi_region",
        pipeline_root="",
        components=[example_gen, trainer, baseline, evaluator, pusher],
        # Each run has a model of its own.
        enable_cache=False,
        beam_pipeline_args=["--direct_running_mode=in_memory", "--direct_num_workers=1"],
    )
