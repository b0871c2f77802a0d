"""Inputs whose files somebody has removed: named before any work, or passed over by a Resolver."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tfx import v1 as tfx
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts

from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.tfx_side.node import gone_files, node
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]


def _uri(result: NodeResult, key: str) -> Path:
    [artifact] = result.outputs[key]
    return Path(artifact["uri"])


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_input_that_is_gone_fails_with_its_name_run_and_cure(make_request: MakeRequest) -> None:
    pipeline = small.write_and_read()
    written = node.run(make_request(pipeline, "Write"))
    [moment] = written.outputs["moment"]
    _remove(_uri(written, "moment"))
    with pytest.raises(gone_files.GoneFilesError) as caught:
        node.run(make_request(pipeline, "Read"))
    text = str(caught.value)
    assert text.startswith("Input is gone: 1 of this node's input artifacts")
    assert (
        f"text: String #{moment['id']}, {moment['uri']!r}, made by 'write_and_read.Write' in run 'flow:first'"
        in text
    )
    assert "clear the task that made them" in text


def test_node_runs_again_once_the_files_are_back(make_request: MakeRequest) -> None:
    pipeline = small.write_and_read()
    written = node.run(make_request(pipeline, "Write"))
    text = _uri(written, "moment").read_text()
    _remove(_uri(written, "moment"))
    with pytest.raises(gone_files.GoneFilesError):
        node.run(make_request(pipeline, "Read"))
    _uri(written, "moment").write_text(text)
    assert node.run(make_request(pipeline, "Read", try_number=2)).state == "executed"


def _with_resolver(message: str) -> tfx.dsl.Pipeline:
    write = small.Write(message=message)
    latest = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        text=tfx.dsl.Channel(
            type=standard_artifacts.String, producer_component_id="Write", output_key="text"
        ),
    ).with_id("latest")
    return tfx.dsl.Pipeline("resolved", pipeline_root="", components=[write, latest], enable_cache=False)


@pytest.mark.parametrize(("removed", "expected"), [((), 3), ((3,), 2), ((3, 2), 1)])
def test_resolver_takes_the_latest_whose_files_are_there(
    make_request: MakeRequest,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    removed: tuple[int, ...],
    expected: int,
) -> None:
    written = {}
    for number in (1, 2, 3):
        (tmp_path / "resolved.json").unlink(missing_ok=True)
        pipeline = _with_resolver(str(number))
        written[number] = node.run(make_request(pipeline, "Write", run=str(number)))
    for number in removed:
        _remove(_uri(written[number], "text"))
    found = node.run(make_request(pipeline, "latest", run="3"))
    assert _uri(found, "text") == _uri(written[expected], "text")
    passed = [record.getMessage() for record in caplog.records if "Passed over" in record.getMessage()]
    assert len(passed) == len(removed)
    for number in removed:
        assert any(str(_uri(written[number], "text")) in line for line in passed)


def test_resolver_that_finds_nothing_left_says_what_it_passed_over(
    make_request: MakeRequest, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = _with_resolver("only")
    _remove(_uri(node.run(make_request(pipeline, "Write")), "text"))
    result = node.run(make_request(pipeline, "latest"))
    assert result.state in ("failed", "executed") and not result.outputs
    assert any("Passed over" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("kind", "uri", "expected"),
    [
        ("Model", "{tmp}/gone", True),
        ("Model", "{tmp}", False),
        ("Model", "", False),
        ("Model", "projects/p/models/1", False),  # a name, not a path
        ("Model", "bq://project.dataset.table", False),  # a scheme that TFX does not know
        ("ModelBlessing", "{tmp}/gone", False),
        ("PushedModel", "{tmp}/gone", False),
    ],
)
def test_only_files_that_are_known_not_to_be_there_are_gone(
    tmp_path: Path, kind: str, uri: str, expected: bool
) -> None:
    assert gone_files.is_gone(kind, uri.format(tmp=tmp_path)) is expected


def test_nothing_of_tfx_stays_changed(make_request: MakeRequest) -> None:
    from tfx.orchestration.portable import inputs_utils
    from tfx.orchestration.portable.input_resolution import channel_resolver

    before = inputs_utils.resolve_input_artifacts, channel_resolver.resolve_union_channels
    pipeline = _with_resolver("a")
    node.run(make_request(pipeline, "Write"))
    node.run(make_request(pipeline, "latest"))
    assert (inputs_utils.resolve_input_artifacts, channel_resolver.resolve_union_channels) == before
    assert fileio.exists("/")
