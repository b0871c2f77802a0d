"""Relative paths and templates in a pipeline: refused, since they would end in a folder inside the bundle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tfx import v1 as tfx

from include.tfx_airflow.contract.errors import ManifestError, UnsupportedNodeError
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.node import node
from include.tfx_airflow.tfx_side.pipeline import ir
from tests.pipelines import embedded as pipelines
from tests.pipelines import small

_Parameter = tfx.dsl.experimental.RuntimeParameter
_Model = tfx.types.standard_artifacts.Model


def _pipeline(made: Any, **options: Any) -> tfx.dsl.Pipeline:
    return tfx.dsl.Pipeline("p", components=[made], **{"pipeline_root": "", **options})


def _generator(path: Any, **options: Any) -> tfx.dsl.Pipeline:
    return _pipeline(tfx.components.CsvExampleGen(input_base=path), **options)


def _pusher(path: Any, as_dict: bool) -> tfx.dsl.Pipeline:
    destination: Any = {"filesystem": {"base_directory": path}}
    if not as_dict:
        folder = tfx.proto.PushDestination.Filesystem(base_directory=path)
        destination = tfx.proto.PushDestination(filesystem=folder)
    return _pipeline(tfx.components.Pusher(model=tfx.dsl.Channel(type=_Model), push_destination=destination))


MAKERS: dict[str, tuple[Callable[[str], tfx.dsl.Pipeline], list[str]]] = {
    "root": (lambda path: _pipeline(small.Write(message="a"), pipeline_root=path), ["pipeline_root"]),
    "input_base": (_generator, ["'input_base'", "'CsvExampleGen'"]),
    "destination": (lambda path: _pusher(path, False), ["'push_destination'", "'Pusher'"]),
    "destination-dict": (lambda path: _pusher(path, True), ["'push_destination'", "'Pusher'"]),
    "importer": (
        lambda path: _pipeline(tfx.dsl.Importer(source_uri=path, artifact_type=_Model).with_id("model")),
        ["'artifact_uri'", "'model'"],
    ),
    "schema": (
        lambda path: _pipeline(tfx.components.ImportSchemaGen(schema_file=path)),
        ["'schema_file'", "'ImportSchemaGen'"],
    ),
}


@pytest.mark.parametrize("path", ["data/taxi", "./data", "../data", "~/data", "${NOWHERE}/data"])
@pytest.mark.parametrize("maker", MAKERS)
def test_relative_path_is_refused_by_node_and_property(maker: str, path: str, roots: dict[str, str]) -> None:
    make, parts = MAKERS[maker]
    with pytest.raises(UnsupportedNodeError, match="is the relative path") as caught:
        ir.compile_pipeline(make(path), "m:f", "", roots, {})
    for part in (*parts, repr(path)):
        assert part in str(caught.value)


@pytest.mark.parametrize("path", ["/data", "gs://bucket/x", "${TFX_AIRFLOW_HOME}/x", "${BUNDLE_ROOT}/x"])
@pytest.mark.parametrize("maker", MAKERS)
def test_absolute_path_is_taken(maker: str, path: str, roots: dict[str, str]) -> None:
    ir.compile_pipeline(MAKERS[maker][0](path), "m:f", "", roots, {})


@pytest.mark.parametrize(
    ("make", "place"),
    [
        *((make, " of ".join(parts)) for make, parts in MAKERS.values()),
        (lambda text: _pipeline(small.Write(message=text)), "'message' of 'Write'"),
        (
            lambda text: _generator("/srv", beam_pipeline_args=[f"--project={text}"]),
            "the Beam arguments of 'CsvExampleGen'",
        ),
        (
            lambda text: _pipeline(pipelines.Show(limits={}, names=["a", text], note="")),
            "'names' of 'Show'",
        ),
    ],
    ids=[*MAKERS, "message", "beam", "list"],
)
def test_template_is_refused_by_node_and_property(
    make: Callable[[str], tfx.dsl.Pipeline], place: str, roots: dict[str, str]
) -> None:
    place = place.replace("pipeline_root", "pipeline's root")
    for template in ("{{ var.value.x }}", "{% if x %}"):
        with pytest.raises(UnsupportedNodeError, match="RuntimeParameter") as caught:
            ir.compile_pipeline(make(f"/srv/{template}/p"), "m:f", "", roots, {})
        assert template in str(caught.value)
        assert place.lower() in str(caught.value).lower()


def test_template_as_default_of_a_parameter_is_taken(roots: dict[str, str]) -> None:
    pipeline = _generator(_Parameter("base", str, "/srv/{{ ds }}"))
    manifest, _ = ir.compile_pipeline(pipeline, "m:f", "", roots, {})
    assert manifest(()).runtime_parameters[0].default == "/srv/{{ ds }}"


def test_relative_path_of_a_run_is_refused_before_the_node_works(
    make_request: Callable[..., NodeRequest],
) -> None:
    pipeline = _generator(_Parameter("base", str, "/srv"))
    with pytest.raises(ManifestError, match="'input_base' of 'CsvExampleGen' is the relative path 'data'"):
        node.run(make_request(pipeline, "CsvExampleGen", base="data"))
    root = _Parameter("root", str, "/srv")
    pipeline = tfx.dsl.Pipeline("q", pipeline_root=root, components=[small.Write(message="a")])
    with pytest.raises(ManifestError, match="pipeline_root is the relative path 'data'"):
        node.run(make_request(pipeline, "Write", root="data"))


@pytest.mark.parametrize("root", ["hdfs://host/x", "s4://bucket/x"])
def test_an_object_store_that_is_none_is_refused(root: str) -> None:
    with pytest.raises(UnsupportedNodeError, match=f"pipeline_root is '{root}'; it must be a folder, or"):
        ir.compile_pipeline(_pipeline(small.Write(message="a"), pipeline_root=root), "m:f", "", {}, {})


def test_the_manifest_names_what_is_in_object_stores() -> None:
    destination = {"filesystem": {"base_directory": "s3://bucket/serving"}}
    pusher = tfx.components.Pusher(model=tfx.dsl.Channel(type=_Model), push_destination=destination)
    pipeline = _pipeline(pusher, pipeline_root="gs://bucket/root")
    manifest, _ = ir.compile_pipeline(pipeline, "m:f", "", {}, {})
    assert manifest(()).addresses == {
        "pipeline_root": "gs://bucket/root",
        "'push_destination' of 'Pusher'": "s3://bucket/serving",
    }
