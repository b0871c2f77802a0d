"""What a node can do without, and which trigger rule follows from it."""

from __future__ import annotations

import pytest
from tfx import v1 as tfx
from tfx.types import channel as channel_lib

from include.tfx_airflow.contract.manifest import Manifest, Node
from include.tfx_airflow.tfx_side.pipeline import ir
from tests.pipelines import copies, small

_types = tfx.types.standard_artifacts


def _nodes(pipeline: tfx.dsl.Pipeline) -> dict[str, Node]:
    manifest, _ = ir.compile_pipeline(
        pipeline, "m:f", "", {"BUNDLE_ROOT": "/bundle"}, {"tfx": "1", "python": "3"}
    )
    text = manifest(()).to_json()
    return {node.id: node for node in Manifest.from_json(text).nodes}


def test_optional_inputs_and_mere_order_are_not_required() -> None:
    nodes = _nodes(copies.optional())
    assert {name: node.required for name, node in nodes.items()} == {
        "Switch": (),
        "Tuner": (("Switch",),),
        "Trainer": (),
        "Chain": (("Tuner",),),
        "Late": (),
        "After": (),
    }


def test_nodes_after_one_that_may_be_skipped_decide_for_themselves() -> None:
    rules = {name: node.trigger_rule for name, node in _nodes(copies.optional()).items()}
    assert rules == {
        "Switch": "all_success",
        "Tuner": "all_success",
        "Trainer": "none_failed",
        "Chain": "none_failed",
        "Late": "none_failed",
        "After": "none_failed",
    }
    plain = _nodes(small.write_and_read())
    assert {node.trigger_rule for node in plain.values()} == {"all_success"}


def test_of_a_union_one_producer_is_enough() -> None:
    one, two = (copies.Say(what=name).with_id(name) for name in ("One", "Two"))
    both = channel_lib.union([one.outputs["text"], two.outputs["text"]])
    nodes = _nodes(tfx.dsl.Pipeline("union", pipeline_root="", components=[one, two, copies.Echo(text=both)]))
    assert nodes["Echo"].required == (("One", "Two"),)


def test_channel_made_optional_is_not_required_and_knows_its_producer() -> None:
    say = copies.Say(what="a")
    tell = copies.Tell(settings=say.outputs["text"].as_optional())
    nodes = _nodes(tfx.dsl.Pipeline("copied", pipeline_root="", components=[say, tell]))
    assert nodes["Tell"].required == () and nodes["Tell"].upstream == ("Say",)


def test_what_a_resolver_reads_of_this_run_is_required_and_it_looks_into_earlier_runs() -> None:
    say = copies.Say(what="a")
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        own=say.outputs["text"],
        old=tfx.dsl.Channel(type=_types.String),
    ).with_id("latest")
    nodes = _nodes(tfx.dsl.Pipeline("resolved", pipeline_root="", components=[say, resolver]))
    assert nodes["latest"].required == (("Say",),)
    assert [node.history for node in nodes.values()] == [False, True]


def _judged(with_blessing: bool) -> dict[str, Node]:
    gate = copies.Say(what="no").with_id("Gate")
    model = tfx.dsl.Importer(source_uri="/srv/model", artifact_type=_types.Model).with_id("model")
    with tfx.dsl.Cond(gate.outputs["text"].future()[0].value == "yes"):
        blessing = tfx.dsl.Importer(source_uri="/srv/b", artifact_type=_types.ModelBlessing).with_id("judge")
    pusher = tfx.components.Pusher(
        model=model.outputs["result"],
        model_blessing=blessing.outputs["result"] if with_blessing else None,
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory="/srv/serving")
        ),
    )
    return _nodes(tfx.dsl.Pipeline("judged", pipeline_root="", components=[gate, model, blessing, pusher]))


@pytest.mark.parametrize(
    ("with_blessing", "expected"), [(True, (("judge",), ("model",))), (False, (("model",),))]
)
def test_a_model_whose_judge_was_skipped_is_not_pushed(
    with_blessing: bool, expected: tuple[tuple[str, ...], ...]
) -> None:
    assert _judged(with_blessing)["Pusher"].required == expected
