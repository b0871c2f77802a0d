"""What the installed versions of TFX, Beam and ml_metadata can do is what `compat` says."""

from __future__ import annotations

import json
import types

import apache_beam as beam
import ml_metadata as mlmd
import pytest
from apache_beam.runners.portability.fn_api_runner import fn_runner
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx import v1 as tfx
from tfx.dsl.input_resolution import canned_resolver_functions
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract.errors import UnsupportedNodeError
from include.tfx_airflow.tfx_side import compat
from include.tfx_airflow.tfx_side.pipeline import ir, sql_slices
from tests.pipelines import small


def test_resolver_functions_that_ask_for_states_are_refused_where_ml_metadata_cannot_be_asked() -> None:
    config = pb.ConnectionConfig()
    config.fake_database.SetInParent()
    store = mlmd.MetadataStore(config)
    type_id = store.put_artifact_type(pb.ArtifactType(name="Examples"))
    live, deleted = store.put_artifacts(
        [pb.Artifact(type_id=type_id, state=state) for state in (pb.Artifact.LIVE, pb.Artifact.DELETED)]
    )
    try:
        found = store.get_artifacts(list_options=mlmd.ListOptions(filter_query="state = LIVE"))
    except mlmd.errors.StatusError:
        found = None
    can_be_asked = found is not None and [artifact.id for artifact in found] == [live]
    assert bool(compat.operators_without_support()) == (not can_be_asked)


def test_a_refused_resolver_function_is_named_with_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    write = small.Write(message="m")
    read = small.Read(text=canned_resolver_functions.latest_created(write.outputs["text"]))
    pipeline = tfx.dsl.Pipeline("p", pipeline_root="/p", components=[write, read])
    ir.compile_pipeline(pipeline, "m:f", "", {}, {})
    monkeypatch.setattr(compat, "operators_without_support", lambda: frozenset({"tfx.LatestCreateTime"}))
    with pytest.raises(
        UnsupportedNodeError, match=r"an input of 'Read' .* tfx\.LatestCreateTime, which needs"
    ):
        ir.compile_pipeline(pipeline, "m:f", "", {}, {})


def test_slices_by_sql_are_refused_where_they_would_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sql = "SELECT STRUCT(company) FROM example.company"

    def node(**spec: object) -> pipeline_pb2.PipelineNode:
        made = pipeline_pb2.PipelineNode()
        made.node_info.id = "Evaluator"
        config = {"slicing_specs": [{}, spec]}
        made.parameters.parameters["eval_config"].field_value.string_value = json.dumps(config)
        return made

    monkeypatch.setattr(compat, "slices_by_sql", lambda: False)
    for key in ("slice_keys_sql", "sliceKeysSql"):
        with pytest.raises(UnsupportedNodeError, match="'Evaluator' has a slice by SQL .* would leave out"):
            sql_slices.refuse(node(**{key: sql}))
    sql_slices.refuse(node(feature_keys=["company"]))
    sql_slices.refuse(pipeline_pb2.PipelineNode())
    monkeypatch.undo()
    try:
        from tfx_bsl.arrow import sql_util
    except ImportError:
        sql_util = None
    assert compat.slices_by_sql() == isinstance(sql_util, types.ModuleType)


def test_beam_runs_pipelines_in_this_process() -> None:
    compat.keep_beam_in_this_process()
    pipeline = beam.Pipeline(runner="DirectRunner")
    pipeline | beam.Create([1, 2]) | beam.Map(print)
    assert isinstance(pipeline.run(), fn_runner.RunnerResult)
