"""A pipeline of nodes that do nothing but look for their inputs, on a store as `tests/panel/scale.py` makes it.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import range_config_pb2

from include.components.blessed_before import BlessedBefore
from include.components.not_superseded import NotSuperseded
from include.components.rolling_window import RollingWindow
from include.components.tuned_before import TunedBefore

NAME = "taxi_retraining"
# Stands for a gate: in that store every delivery passed it.
_GATE = "tfx.components.statistics_gen.component.StatisticsGen"
_standard = tfx.types.standard_artifacts


@component
def Deliver(
    span: tfx.dsl.components.Parameter[int],
    examples: tfx.dsl.components.OutputArtifact[_standard.Examples],
) -> None:
    """Makes examples of a span, without any."""
    examples.set_int_custom_property("span", span)


@component
def Train(
    examples: tfx.dsl.components.InputArtifact[_standard.Examples],
    model: tfx.dsl.components.OutputArtifact[_standard.Model],
) -> None:
    """Makes a model, without one."""
    model.set_int_custom_property("trained", 1)


@component
def Judge(
    examples: tfx.dsl.components.InputArtifact[_standard.Examples],
    model: tfx.dsl.components.InputArtifact[_standard.Model],
    text: tfx.dsl.components.OutputArtifact[_standard.String],
) -> None:
    """Reads two inputs."""
    text.value = f"{examples.uri} {model.uri}"


def create_pipeline(
    span: int, pipeline_root: str = "", metadata_connection_config: object = None
) -> tfx.dsl.Pipeline:
    """Two ordinary nodes with one and two inputs, and a Resolver of each kind."""
    deliver = Deliver(span=span).with_id("SpanExampleGen")
    newest = deliver.outputs["examples"]
    train = Train(examples=newest)
    judge = Judge(examples=newest, model=train.outputs["model"])
    examples = tfx.dsl.Channel(type=_standard.Examples, producer_component_id="SpanExampleGen")
    model, blessing = tfx.dsl.Channel(type=_standard.Model), tfx.dsl.Channel(type=_standard.ModelBlessing)
    rolling = range_config_pb2.RangeConfig(rolling_range=range_config_pb2.RollingRange(num_spans=6))
    experimental = tfx.dsl.experimental
    resolvers = {
        "BlessedBefore": (BlessedBefore, {}, {"model": model, "model_blessing": blessing, "newest": newest}),
        "RollingWindow": (
            RollingWindow,
            {"spans": 6, "gate": _GATE},
            {"examples": examples, "newest": newest},
        ),
        "TunedBefore": (
            TunedBefore,
            {},
            {"hyperparameters": tfx.dsl.Channel(type=_standard.HyperParameters), "newest": newest},
        ),
        "NotSuperseded": (
            NotSuperseded,
            {},
            {
                "model": train.outputs["model"],
                "pushed": tfx.dsl.Channel(type=_standard.PushedModel),
                "newest": newest,
            },
        ),
        "LatestArtifactStrategy": (experimental.LatestArtifactStrategy, {}, {"model": model}),
        "LatestBlessedModelStrategy": (
            experimental.LatestBlessedModelStrategy,
            {},
            {"model": model, "model_blessing": blessing},
        ),
        "SpanRangeStrategy": (
            experimental.SpanRangeStrategy,
            {"range_config": rolling},
            {"examples": examples},
        ),
    }
    nodes = [
        tfx.dsl.Resolver(strategy_class=kind, config=config, **channels).with_id(name)
        for name, (kind, config, channels) in resolvers.items()
    ]
    for node in nodes:  # LocalDagRunner runs nodes in the order of their dependencies
        node.add_upstream_node(judge)
    return tfx.dsl.Pipeline(
        NAME,
        pipeline_root=pipeline_root,
        components=[deliver, train, judge, *nodes],
        enable_cache=False,
        metadata_connection_config=metadata_connection_config,
    )
