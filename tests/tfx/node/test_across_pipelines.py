"""A Resolver of one pipeline sees what another pipeline has made in the same MLMD store, compiled and launched."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tfx import v1 as tfx
from tfx.types import channel_utils

from include.taxi import batch_inference, drift, promotion, retraining, tuning
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.node import node
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]


def _reader() -> tfx.dsl.Pipeline:
    """Reads the last moment that pipeline write_and_read has written."""
    moment = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        moment=channel_utils.external_pipeline_artifact_query(
            tfx.types.standard_artifacts.String,
            owner="anybody",
            pipeline_name="write_and_read",
            producer_component_id="Write",
            output_key="moment",
        ),
    ).with_id("moment")
    read = small.Read(text=moment.outputs["moment"])
    return tfx.dsl.Pipeline("reader", pipeline_root="", components=[moment, read])


def test_a_resolver_reads_the_output_of_another_pipeline(make_request: MakeRequest) -> None:
    written = node.run(make_request(small.write_and_read(), "Write", run="theirs"))
    other = small.write_and_read(name="another")
    node.run(make_request(other, "Write", run="theirs"))
    found = node.run(make_request(_reader(), "moment"))
    assert found.outputs["moment"] == written.outputs["moment"]
    read = node.run(make_request(_reader(), "Read"))
    [copy], [moment] = read.outputs["copy"], written.outputs["moment"]
    assert Path(copy["uri"]).read_text() == Path(moment["uri"]).read_text()


def test_batch_inference_is_skipped_as_long_as_nothing_was_pushed(
    make_request: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(
        logging.INFO, logger="absl"
    )  # as in the process of a node: TFX tells the reason to the log
    result = node.run(make_request(batch_inference.create_pipeline(), "served_model"))
    assert result.state == "skipped"
    assert "no model has been pushed yet" in result.message


def test_tuning_is_skipped_with_what_to_do_when_its_span_was_never_read(
    make_request: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="absl")
    pipeline = tuning.create_pipeline()
    parameters: dict[str, Any] = {"span": 201403, "search": "{}", "train_args": "{}"}
    node.run(make_request(pipeline, "ChosenNumber", **parameters))
    result = node.run(make_request(pipeline, "examples_of_span", **parameters))
    assert result.state == "skipped"
    assert (
        "no examples of span 201403: the store has spans []. Run the DAG that makes them for that span"
        in result.message
    )


def test_the_queries_name_nodes_that_the_pipelines_have() -> None:
    made = {
        (pipeline.id, component.id, key)
        for pipeline in (retraining.create_pipeline(), tuning.create_pipeline())
        for component in pipeline.components
        for key in component.outputs
    }
    asked = {
        (channel.pipeline_name, channel.producer_component_id, channel.output_key)
        for pipeline in (
            retraining.create_pipeline(),
            tuning.create_pipeline(),
            batch_inference.create_pipeline(),
            drift.create_pipeline(),
            promotion.create_pipeline(),
        )
        for component in pipeline.components
        if isinstance(component, tfx.dsl.Resolver)
        for channel in component.raw_inputs.values()
        if hasattr(channel, "pipeline_name")
    }
    assert len(asked) >= 3
    assert asked <= made
