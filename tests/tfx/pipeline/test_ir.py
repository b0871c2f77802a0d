"""From a pipeline to manifest and IR: what is kept, what is taken out, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.dsl.experimental.node_execution_options import utils as options_lib
from tfx.orchestration import pipeline as pipeline_lib
from tfx.proto.orchestration import pipeline_pb2

from include.tfx_airflow.contract.errors import UnsupportedNodeError
from include.tfx_airflow.contract.manifest import Manifest, RuntimeParameter
from include.tfx_airflow.tfx_side.pipeline import ir
from tests.pipelines import small

ENVIRONMENT = {"tfx": "1.16.0", "python": "python3.10"}
_Strategy = pipeline_pb2.NodeExecutionOptions


def _compile(pipeline: tfx.dsl.Pipeline, roots: dict[str, str], doc: str = "") -> tuple[Manifest, str]:
    manifest, text = ir.compile_pipeline(pipeline, "m:f", doc, roots, ENVIRONMENT)
    return manifest(("${BUNDLE_ROOT}/m.py",)), text


def _with_options(**options: object) -> tfx.dsl.Pipeline:
    first, second = small.Write(message="a").with_id("First"), small.Write(message="b").with_id("Second")
    second.add_upstream_node(first)
    second.node_execution_options = options_lib.NodeExecutionOptions(**options)  # type: ignore[arg-type]
    return tfx.dsl.Pipeline("options", pipeline_root="", components=[first, second])


def _with_module(module_file: str) -> tfx.dsl.Pipeline:
    examples = tfx.components.CsvExampleGen(input_base="/srv/data")
    trainer = tfx.components.Trainer(
        module_file=module_file,
        examples=examples.outputs["examples"],
        train_args=tfx.proto.TrainArgs(num_steps=1),
        eval_args=tfx.proto.EvalArgs(num_steps=1),
    )
    return tfx.dsl.Pipeline("module", pipeline_root="", components=[examples, trainer])


def _parameters_of(text: str, node_id: str) -> dict[str, object]:
    nodes = [entry["pipelineNode"] for entry in json.loads(text)["nodes"]]
    [node] = [node for node in nodes if node["nodeInfo"]["id"] == node_id]
    return node["parameters"]["parameters"]


def test_manifest_describes_the_nodes(roots: dict[str, str]) -> None:
    manifest, _ = _compile(small.write_and_read(), roots, doc="Two nodes.")
    assert (manifest.pipeline_name, manifest.reference, manifest.doc) == (
        "write_and_read",
        "m:f",
        "Two nodes.",
    )
    assert (manifest.files, manifest.environment) == (("${BUNDLE_ROOT}/m.py",), ENVIRONMENT)
    write, read = manifest.nodes
    assert (write.id, write.kind, write.type) == ("Write", "Write", "tests.pipelines.small.Write")
    assert (write.upstream, read.upstream) == ((), ("Write",))
    assert write.outputs == {"moment": "String", "text": "String"}
    assert (write.parameters, write.conditional, write.trigger_rule) == ((), False, "all_success")
    assert (write.retries, write.timeout_seconds) == (None, 0)
    assert manifest == Manifest.from_json(manifest.to_json())


def test_node_in_a_cond_is_conditional(roots: dict[str, str]) -> None:
    manifest, _ = _compile(small.conditional(), roots)
    assert {node.id: node.conditional for node in manifest.nodes} == {
        "Write": False,
        "Read": True,
        "ReadAgain": False,
    }
    assert {node.id: node.upstream for node in manifest.nodes}["ReadAgain"] == ("Read",)


def test_runtime_parameters_keep_kind_default_and_description(roots: dict[str, str]) -> None:
    manifest, _ = _compile(small.parameters(), roots)
    assert manifest.runtime_parameters == (
        RuntimeParameter("count", "integer", 0, "the count"),
        RuntimeParameter("label", "string", "plain", "the label"),
        RuntimeParameter("options", "string", '{"depth": 2}', "the options"),
        RuntimeParameter("rate", "number", 0.5, "the rate"),
    )
    assert type(manifest.runtime_parameters[0].default) is int
    assert manifest.nodes[0].parameters == ("count", "label", "options", "rate")


def test_store_address_of_the_pipeline_stays_out(roots: dict[str, str]) -> None:
    config = metadata_store_pb2.ConnectionConfig()
    config.mysql.host, config.mysql.user, config.mysql.password = "db.example", "tfx", "a-password"
    config.mysql.port, config.mysql.database = 3306, "mlmd"
    pipeline = tfx.dsl.Pipeline(
        "secret",
        pipeline_root="",
        components=[small.Write(message="a")],
        metadata_connection_config=config,
    )
    manifest, text = _compile(pipeline, roots)
    for word in ("a-password", "db.example", "metadataConnectionConfig"):
        assert word not in text + manifest.to_json()
    assert "executorSpecs" in text


def test_two_compiles_give_identical_bytes(roots: dict[str, str]) -> None:
    for make in (small.write_and_read, small.parameters, small.conditional):
        (first, first_ir), (second, second_ir) = _compile(make(), roots), _compile(make(), roots)
        assert first_ir == second_ir
        assert first.to_json() == second.to_json()


@pytest.mark.parametrize("bundle", ["/srv/bundle", "/srv/my bundle", '/srv/a"b', "/srv/bündel"])
def test_paths_of_this_machine_are_taken_out_and_filled_in_again(bundle: str, roots: dict[str, str]) -> None:
    here = {**roots, "BUNDLE_ROOT": bundle}
    _, text = _compile(small.write_and_read(message=f"{bundle}/data.csv"), here)
    assert "${BUNDLE_ROOT}/data.csv" in text
    for machine, folder in ((here, bundle), ({**roots, "BUNDLE_ROOT": '/opt/"quoted"'}, '/opt/"quoted"')):
        [entry, _] = ir.read_ir(text, machine).nodes
        value = entry.pipeline_node.parameters.parameters["message"].field_value.string_value
        assert value == f"{folder}/data.csv"


def test_module_file_of_the_bundle_becomes_an_import_path(roots: dict[str, str]) -> None:
    module = Path(roots["BUNDLE_ROOT"], "flows", "model.py")
    module.parent.mkdir(parents=True)
    module.write_text("def run_fn(fn_args): ...\n")
    manifest, text = _compile(_with_module(str(module)), roots)
    parameters = _parameters_of(text, "Trainer")
    assert parameters["module_path"] == {"fieldValue": {"stringValue": "flows.model"}}
    assert "module_file" not in parameters
    assert ".whl" not in text
    assert [node.kind for node in manifest.nodes] == ["CsvExampleGen", "Trainer"]


@pytest.mark.parametrize("name", ["outside/model.py", "bundle/not-a-name/model.py"])
def test_module_file_without_an_import_path_keeps_its_file(
    name: str, tmp_path: Path, roots: dict[str, str]
) -> None:
    module = tmp_path / name
    module.parent.mkdir(parents=True)
    module.write_text("def run_fn(fn_args): ...\n")
    _, text = _compile(_with_module(str(module)), roots)
    parameters = _parameters_of(text, "Trainer")
    expected = str(module).replace(roots["BUNDLE_ROOT"], "${BUNDLE_ROOT}")
    assert parameters["module_file"] == {"fieldValue": {"stringValue": expected}}
    assert ".whl" not in text


def test_module_file_that_is_not_there_is_named_with_its_node(roots: dict[str, str]) -> None:
    with pytest.raises(FileNotFoundError, match="'/srv/gone.py' of 'Trainer' does not exist"):
        _compile(_with_module("/srv/gone.py"), roots)


def _asynchronous() -> tfx.dsl.Pipeline:
    return tfx.dsl.Pipeline(
        "async_flow",
        pipeline_root="",
        components=[small.Write(message="a")],
        execution_mode=pipeline_lib.ExecutionMode.ASYNC,
    )


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (small.for_each, ["'Read'", "ForEach"]),
        (small.container, ["'InContainer'", "container", "'alpine'"]),
        (small.sub_pipeline, ["'inner'", "sub-pipeline", "'outer'"]),
        (_asynchronous, ["'async_flow'", "ASYNC", "SYNC"]),
        (
            lambda: _with_options(trigger_strategy=_Strategy.LAZILY_ALL_UPSTREAM_NODES_SUCCEEDED),
            ["'Second'", "trigger"],
        ),
        (lambda: _with_options(lifetime_start="First"), ["'Second'", "lifetime_start='First'"]),
        (lambda: _with_options(success_optional=True), ["'Second'", "success_optional"]),
        (small.not_a_pipeline, ["42", "tfx.dsl.Pipeline"]),
    ],
    ids=[
        "for-each",
        "container",
        "sub-pipeline",
        "async",
        "lazy",
        "lifetime",
        "success-optional",
        "no-pipeline",
    ],
)
def test_what_one_node_one_task_cannot_honour_is_refused(
    make: Callable[[], tfx.dsl.Pipeline], parts: list[str], roots: dict[str, str]
) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        _compile(make(), roots)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("strategy", "rule"),
    [
        (_Strategy.TRIGGER_STRATEGY_UNSPECIFIED, "all_success"),
        (_Strategy.ALL_UPSTREAM_NODES_SUCCEEDED, "all_success"),
        (_Strategy.ALL_UPSTREAM_NODES_COMPLETED, "all_done"),
    ],
)
def test_trigger_strategy_becomes_a_trigger_rule(strategy: int, rule: str, roots: dict[str, str]) -> None:
    manifest, _ = _compile(_with_options(trigger_strategy=strategy), roots)
    assert manifest.nodes[1].trigger_rule == rule


def test_retries_and_timeout_of_the_execution_options_are_kept(roots: dict[str, str]) -> None:
    manifest, _ = _compile(_with_options(max_execution_retries=0, execution_timeout_sec=90), roots)
    assert (manifest.nodes[1].retries, manifest.nodes[1].timeout_seconds) == (0, 90)
    assert (manifest.nodes[0].retries, manifest.nodes[0].timeout_seconds) == (None, 0)


def test_two_inputs_that_the_compiler_takes_for_one_are_refused(roots: dict[str, str]) -> None:
    string = tfx.types.standard_artifacts.String

    def both(**of_earlier_runs: str) -> tfx.dsl.Pipeline:
        write = small.Write(message="a")
        earlier = tfx.dsl.Channel(type=string, producer_component_id="Write", **of_earlier_runs)
        resolver = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
            earlier=earlier,
            newest=write.outputs["text"],
        ).with_id("both")
        return tfx.dsl.Pipeline("merged", pipeline_root="", components=[write, resolver])

    with pytest.raises(
        UnsupportedNodeError, match=r"'both' reads the same output by its inputs '\w+' and '\w+'"
    ):
        _compile(both(output_key="text"), roots)
    _compile(both(), roots)
