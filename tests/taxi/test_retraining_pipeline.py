"""The retraining pipeline, compiled: whose blessing is followed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from tfx.proto.orchestration import pipeline_pb2

from include.taxi import retraining
from include.tfx_airflow.contract.manifest import Manifest
from include.tfx_airflow.tfx_side.pipeline import ir
from include.tfx_airflow.tfx_side.pipeline.skippable import producer


def _compiled(tmp_path: Path, **settings: Any) -> tuple[Manifest, dict[str, Any]]:
    roots = {
        "BUNDLE_ROOT": str(Path(__file__).parents[2]),
        "TFX_AIRFLOW_HOME": str(tmp_path),
        "TFX_PREFIX": sys.prefix,
    }
    manifest, text = ir.compile_pipeline(
        retraining.create_pipeline(serving_dir="/srv/serving", **settings),
        "m:f",
        "",
        roots,
        {"tfx": "1", "python": "3"},
    )
    pipeline = json_format.Parse(text, pipeline_pb2.Pipeline(), ignore_unknown_fields=True)
    nodes = {entry.pipeline_node.node_info.id: entry.pipeline_node for entry in pipeline.nodes}
    return manifest(()), nodes


def _producers(node: Any, key: str) -> set[str]:
    """Nodes that an input is read from; of a Resolver's, those behind its strategy."""
    spec = node.inputs.inputs[key]
    if spec.channels:
        return {producer(channel) for channel in spec.channels}
    graph = node.inputs.input_graphs[spec.input_graph_ref.graph_id]
    keys = [step.input_node.input_key for step in graph.nodes.values() if step.input_node.input_key]
    return set().union(*(_producers(node, key) for key in keys))


@pytest.mark.parametrize(
    ("settings", "decider", "baselines"),
    [
        ({}, "Evaluator", {"Evaluator"}),
        ({"decided_by": "tfma"}, "Evaluator", {"Evaluator"}),
        ({"decided_by": "evidence", "inconclusive": "wait"}, "EvidenceGate", {"Evaluator", "EvidenceGate"}),
    ],
)
def test_push_and_baseline_follow_the_one_that_decides(
    tmp_path: Path, settings: dict[str, str], decider: str, baselines: set[str]
) -> None:
    manifest, nodes = _compiled(tmp_path, **settings)
    assert _producers(nodes["Pusher"], "model_blessing") == {decider}
    for conditional in ("not_superseded", "Pusher"):
        blessings = {
            producer(channel)
            for spec in nodes[conditional].inputs.inputs.values()
            for channel in spec.channels
            if channel.artifact_query.type.name == "ModelBlessing"
        }
        assert blessings == {decider}
    blessings = {
        producer(channel)
        for spec in nodes["blessed_before"].inputs.inputs.values()
        for channel in spec.channels
        if channel.artifact_query.type.name == "ModelBlessing"
    }
    assert blessings == baselines
    gate = nodes["EvidenceGate"].parameters.parameters
    assert gate["decides"].field_value.string_value == str(decider == "EvidenceGate").lower()
    assert gate["inconclusive"].field_value.string_value == settings.get("inconclusive", "pass")
    assert {node.id: node.trigger_rule for node in manifest.nodes}["EvidenceGate"] == "none_failed"


def test_nobody_else_decides() -> None:
    with pytest.raises(ValueError, match=r"decided_by = 'me' is not one of \('tfma', 'evidence'\)"):
        retraining.create_pipeline(decided_by="me")
