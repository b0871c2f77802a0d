"""RuntimeParameters inside dicts, lists, protos and texts: Params of the DAG, values in the run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2
from tfx import v1 as tfx

from include.tfx_airflow.contract.errors import ManifestError, UnsupportedNodeError
from include.tfx_airflow.contract.manifest import Manifest, RuntimeParameter
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.node import node
from include.tfx_airflow.tfx_side.pipeline import embedded, ir
from tests.pipelines import embedded as pipelines
from tests.pipelines import small

MakeRequest = Callable[..., NodeRequest]
_Parameter = tfx.dsl.experimental.RuntimeParameter
_Examples = tfx.types.standard_artifacts.Examples
_Model = tfx.types.standard_artifacts.Model


def _compile(pipeline: tfx.dsl.Pipeline, roots: dict[str, str]) -> tuple[Manifest, str]:
    manifest, text = ir.compile_pipeline(pipeline, "m:f", "", roots, {})
    return manifest(()), text


def _pipeline(*nodes: Any, **options: Any) -> tfx.dsl.Pipeline:
    return tfx.dsl.Pipeline("p", components=list(nodes), **{"pipeline_root": "", **options})


def _properties(
    pipeline: tfx.dsl.Pipeline, node_id: str, roots: dict[str, str], **values: Any
) -> dict[str, str]:
    """The text properties of a node after the values of a run were filled in."""
    proto = ir.read_ir(_compile(pipeline, roots)[1], roots)
    embedded.fill_pipeline(proto, node_id, values)
    [found] = [e.pipeline_node for e in proto.nodes if e.pipeline_node.node_info.id == node_id]
    return {key: value.field_value.string_value for key, value in found.parameters.parameters.items()}


def _examples() -> Any:
    return tfx.dsl.Channel(type=_Examples)


def _model() -> Any:
    return tfx.dsl.Importer(source_uri="/srv/model", artifact_type=_Model).with_id("model")


def test_a_model_is_pushed_where_the_parameter_in_the_dict_says(
    tmp_path: Path, roots: dict[str, str], make_request: MakeRequest
) -> None:
    pipeline = pipelines.push(f"{tmp_path}/default")
    manifest, _ = _compile(pipeline, roots)
    assert manifest.runtime_parameters == (RuntimeParameter("push_to", "string", f"{tmp_path}/default"),)
    assert {node.id: node.parameters for node in manifest.nodes} == {"MakeModel": (), "Pusher": ("push_to",)}
    pipeline = pipelines.push(f"{tmp_path}/default")
    node.run(make_request(pipeline, "MakeModel"))
    for push_to in ("default", "given"):
        values = {} if push_to == "default" else {"push_to": f"{tmp_path}/given"}
        result = node.run(make_request(pipeline, "Pusher", try_number=1 + len(values), **values))
        assert result.state == "executed"
        assert list((tmp_path / push_to).glob("*/saved_model.pb"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["default", "given", "home", "push.json"]


def test_dict_list_and_text_of_a_custom_component_keep_their_types(
    roots: dict[str, str], make_request: MakeRequest
) -> None:
    manifest, _ = _compile(pipelines.show(), roots)
    assert manifest.runtime_parameters == (
        RuntimeParameter("count", "integer", 3),
        RuntimeParameter("high", "number", 2.0),
        RuntimeParameter("name", "string", "b"),
    )
    values = {"high": 7.5, "name": 'x"y', "count": 0}
    result = node.run(make_request(pipelines.show(), "Show", **values))
    [artifact] = result.outputs["text"]
    assert Path(artifact["uri"]).read_text() == ("{'high': 7.5, 'low': 0.5} ['a', 'x\"y'] 'as x\"y 0'")


@pytest.mark.parametrize(("answer", "state"), [("yes", "executed"), ("no", "skipped")])
def test_cond_compares_with_the_value_of_the_run(
    answer: str, state: str, roots: dict[str, str], make_request: MakeRequest
) -> None:
    manifest, _ = _compile(pipelines.conditional(), roots)
    assert {node.id: node.parameters for node in manifest.nodes} == {"Write": (), "Read": ("answer",)}
    node.run(make_request(pipelines.conditional(), "Write"))
    assert node.run(make_request(pipelines.conditional(), "Read", answer=answer)).state == state


def test_parameters_in_the_dicts_of_tfx_components(roots: dict[str, str]) -> None:
    generator = tfx.components.CsvExampleGen(
        input_base=f"{_Parameter('base', str, '/srv')}/taxi",
        input_config={"splits": [{"name": "all", "pattern": _Parameter("pattern", str, "*")}]},
        output_config={"split_config": {"splits": [{"name": "a", "hash_buckets": _Parameter("n", int, 2)}]}},
        range_config={
            "static_range": {"start_span_number": 1, "end_span_number": _Parameter("span", int, 1)}
        },
    )
    found = _properties(
        _pipeline(generator), "CsvExampleGen", roots, base="/data", pattern="x{SPAN}/*", n=9, span=4
    )
    assert found["input_base"] == "/data/taxi"
    assert json.loads(found["input_config"]) == {"splits": [{"name": "all", "pattern": "x{SPAN}/*"}]}
    assert json.loads(found["output_config"])["split_config"]["splits"] == [{"name": "a", "hash_buckets": 9}]
    assert json.loads(found["range_config"])["static_range"] == {
        "start_span_number": 1,
        "end_span_number": 4,
    }

    trainer = tfx.components.Trainer(
        examples=_examples(),
        run_fn="a.run_fn",
        train_args={"num_steps": _Parameter("train-steps", int, 3)},
        eval_args=tfx.proto.EvalArgs(num_steps=1),
        custom_config={
            "rate": _Parameter("rate", float, 0.0),
            "deep": [{"note": _Parameter("note", str, "")}],
        },
    )
    found = _properties(_pipeline(trainer), "Trainer", roots, **{"train-steps": 5, "note": '{"a": 1}'})
    assert json.loads(found["train_args"]) == {"num_steps": 5}
    assert json.loads(found["custom_config"]) == {"rate": 0.0, "deep": [{"note": '{"a": 1}'}]}

    inferrer = tfx.components.BulkInferrer(
        examples=_examples(),
        model=tfx.dsl.Channel(type=_Model),
        data_spec={"example_splits": [_Parameter("split", str, "eval")]},
        model_spec={"model_signature_name": [_Parameter("signature", str, "")]},
    )
    found = _properties(_pipeline(inferrer), "BulkInferrer", roots, split="train")
    assert json.loads(found["data_spec"]) == {"example_splits": ["train"]}
    assert json.loads(found["model_spec"]) == {"model_signature_name": [""]}


def test_text_inside_a_proto_and_inside_json_in_json(roots: dict[str, str]) -> None:
    folder = tfx.proto.PushDestination.Filesystem(base_directory=f"/srv/{_Parameter('day', str, 'x')}/m")
    pusher = tfx.components.Pusher(
        model=tfx.dsl.Channel(type=_Model),
        push_destination=tfx.proto.PushDestination(filesystem=folder),
        custom_config={"inner": json.dumps({"n": f"{_Parameter('n', int, 1)}"})},
    )
    found = _properties(_pipeline(pusher), "Pusher", roots, day='a"b\\c', n=2)
    assert json.loads(found["push_destination"]) == {"filesystem": {"base_directory": '/srv/a"b\\c/m'}}
    assert json.loads(json.loads(found["custom_config"])["inner"]) == {"n": "2"}


def test_value_cannot_leave_the_quotes_of_a_hand_written_json(roots: dict[str, str]) -> None:
    folder, number = _Parameter("d", str), _Parameter("n", int)
    text = f'{{"filesystem": {{"base_directory": "/srv/{folder}"}}, "n": {number}}}'
    pusher = tfx.components.Pusher(model=tfx.dsl.Channel(type=_Model), push_destination={})
    pusher.spec.exec_properties["push_destination"] = text
    found = _properties(_pipeline(pusher), "Pusher", roots, d='x"}, "n": 9, "y": {"', n=1)
    assert json.loads(found["push_destination"])["n"] == 1


def test_value_that_looks_like_a_parameter_is_a_value(roots: dict[str, str]) -> None:
    value = str(_Parameter("secret", str, "told"))
    found = _properties(
        _pipeline(small.Write(message=f"<{_Parameter('word', str)}>")), "Write", roots, word=value
    )
    assert found["message"] == f"<{value}>"


@pytest.mark.parametrize("whole", [True, False], ids=["object", "text"])
def test_pipeline_root_may_be_a_parameter(
    whole: bool, tmp_path: Path, roots: dict[str, str], make_request: MakeRequest
) -> None:
    root = _Parameter("pipeline-root", str, f"{tmp_path}/default")

    def make() -> tfx.dsl.Pipeline:
        return _pipeline(small.Write(message="a"), pipeline_root=root if whole else f"{root}/below")

    manifest, _ = _compile(make(), roots)
    assert [node.parameters for node in manifest.nodes] == [("pipeline-root",)]
    result = node.run(make_request(make(), "Write", **{"pipeline-root": f"{tmp_path}/given"}))
    [artifact] = result.outputs["text"]
    assert artifact["uri"].startswith(f"{tmp_path}/given/" + ("Write" if whole else "below/Write"))


def test_names_of_roots_in_a_value_are_filled_in(roots: dict[str, str], make_request: MakeRequest) -> None:
    pipeline = _pipeline(small.Write(message=_Parameter("word", str, f"{roots['TFX_AIRFLOW_HOME']}/x")))
    manifest, _ = _compile(pipeline, roots)
    assert manifest.runtime_parameters[0].default == "${TFX_AIRFLOW_HOME}/x"  # no path of this machine
    result = node.run(make_request(pipeline, "Write", word="${TFX_AIRFLOW_HOME}/x"))
    [artifact] = result.outputs["text"]
    assert Path(artifact["uri"]).read_text() == f"{roots['TFX_AIRFLOW_HOME']}/x"


def test_parameter_without_value_and_default_is_named(make_request: MakeRequest) -> None:
    pipeline = _pipeline(small.Write(message=f"<{_Parameter('word', str)}>"))
    with pytest.raises(ManifestError, match="parameter 'word' of 'Write' has no value"):
        node.run(make_request(pipeline, "Write"))


def _beam() -> tfx.dsl.Pipeline:
    generator = tfx.components.CsvExampleGen(input_base="/srv")
    return _pipeline(generator, beam_pipeline_args=[f"--runner={_Parameter('runner', str, 'x')}"])


def _beam_of_one_node() -> tfx.dsl.Pipeline:
    generator = tfx.components.CsvExampleGen(input_base="/srv")
    generator.executor_spec.beam_pipeline_args = [_Parameter("runner", str, "x")]
    return _pipeline(generator)


def _platform() -> tfx.dsl.Pipeline:
    config = struct_pb2.Struct()
    config["machine"] = f"{_Parameter('machine', str, 'small')}"
    return _pipeline(small.Write(message="a").with_platform_config(config))


def _cut() -> tfx.dsl.Pipeline:
    return _pipeline(small.Write(message=os.path.dirname(str(_Parameter("path", str, "/srv/a/b")))))


def _upper() -> tfx.dsl.Pipeline:
    return _pipeline(small.Write(message=str(_Parameter("path", str, "x")).upper()))


def _end() -> tfx.dsl.Pipeline:
    return _pipeline(small.Write(message=os.path.basename(str(_Parameter("path", str, "/srv/a")))))


def _id() -> tfx.dsl.Pipeline:
    return _pipeline(small.Write(message="a").with_id(f"W{_Parameter('a', int, 1)}"))


def _in_default() -> tfx.dsl.Pipeline:
    inner = _Parameter("inner", str, "x")
    return _pipeline(small.Write(message=_Parameter("outer", str, f"{inner}/y")))


def _untyped() -> tfx.dsl.Pipeline:
    return _pipeline(small.Write(message=f"{_Parameter('a', None, 'x')}"))


def _reserved() -> tfx.dsl.Pipeline:
    return _pipeline(small.Write(message=_Parameter("pipeline-run-id", str, "x")))


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (_beam, ["'runner'", "Beam arguments", "'CsvExampleGen'"]),
        (_beam_of_one_node, ["'runner'", "Beam arguments", "'CsvExampleGen'"]),
        (_platform, ["'machine'", "the platform config of 'Write'"]),
        (_cut, ["'message' of 'Write'", "dirname"]),
        (_upper, ["'message' of 'Write'", "changed"]),
        (_end, ["'message' of 'Write'", "changed"]),
        (_id, ["'a'", "the id"]),
        (_in_default, ["'outer'", "'message' of 'Write'", "another"]),
        (_untyped, ["'a'", "'message' of 'Write'", "ptype"]),
        (_reserved, ["'pipeline-run-id'", "'message' of 'Write'"]),
    ],
)
def test_what_cannot_be_filled_in_is_refused_by_node_and_property(
    make: Callable[[], tfx.dsl.Pipeline], parts: list[str], roots: dict[str, str]
) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        _compile(make(), roots)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "kind", "conflict"),
    [
        ("a", "a", str, ""),
        ("a", "b", str, "'a' in 'message' of 'First' and 'b' in 'message' of 'Second'"),
        ("a", None, str, "'a' in 'message' of 'First' and None in 'message' of 'Second'"),
        ("", None, str, "'' in 'message' of 'First' and None in 'message' of 'Second'"),
        (0, 1, int, "0 in 'message' of 'First' and 1 in 'message' of 'Second'"),
        (0, 0.0, float, ""),
    ],
)
def test_two_defaults_of_one_name_are_told_with_their_nodes(
    first: Any, second: Any, kind: type, conflict: str, roots: dict[str, str]
) -> None:
    manifest, _ = _compile(pipelines.two_defaults(first, second, kind), roots)
    [parameter] = manifest.runtime_parameters
    assert parameter.conflict == conflict


def test_two_types_of_one_name_are_refused_with_their_nodes(roots: dict[str, str]) -> None:
    with pytest.raises(UnsupportedNodeError) as caught:
        _compile(pipelines.two_defaults("a", 1, str, int), roots)
    for part in ("'word'", "string in 'message' of 'First'", "integer in 'message' of 'Second'"):
        assert part in str(caught.value)
