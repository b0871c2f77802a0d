"""Models, transform graphs, hyperparameters and values equal what the libraries read from the same files."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.model import saved_model, transform
from mlmd_panel.payloads.model.saved_model import Tensor
from mlmd_panel.payloads.read import read
from mlmd_panel.store.records import Artifact, Property

from tests.panel.mutations import MUTATIONS
from tests.panel.raw_bytes import varint
from tests.panel.written import written


@pytest.fixture(scope="session")
def made() -> Path:
    return written().folder / "model"


@pytest.fixture(scope="session")
def answers(made: Path) -> dict[str, Any]:
    return json.loads((made / "answers.json").read_text())


def _artifact(uri: Path, type_: str, **properties: Any) -> Artifact:
    found = tuple(Property(name, value, "string", True) for name, value in properties.items())
    return Artifact(1, type_, "", str(uri), "LIVE", 0, 0, found)


def _read(uri: Path, type_: str, **properties: Any) -> Any:
    return read(_artifact(uri, type_, **properties), Files([str(uri.parent)]))


def _tensors(found: tuple[Tensor, ...]) -> dict[str, Any]:
    return {one.name: [one.dtype, None if one.shape is None else list(one.shape)] for one in found}


@pytest.mark.parametrize(
    ("name", "type_", "folder"), [("model", "Model", "Format-Serving"), ("pushed", "PushedModel", "")]
)
def test_signatures_equal_those_that_tensorflow_loads(
    name: str, type_: str, folder: str, made: Path, answers: dict[str, Any]
) -> None:
    payload = _read(made / name, type_)

    assert payload.kind == "model"
    assert (payload.folder, payload.problem) == (folder, "")
    assert payload.saved_model.tags == ("serve",)
    assert payload.saved_model.tensorflow == answers["models"]["tensorflow"]
    found = {
        one.name: {"inputs": _tensors(one.inputs), "outputs": _tensors(one.outputs)}
        for one in payload.saved_model.signatures
    }
    assert found == answers["models"][name]
    assert payload.size == sum(path.stat().st_size for path in (made / name).rglob("*") if path.is_file())
    assert f"{folder}/saved_model.pb".strip("/") in [entry.name for entry in payload.files]


def test_a_pushed_model_tells_where_it_went(made: Path) -> None:
    payload = _read(
        made / "pushed", "PushedModel", pushed=1, pushed_destination="/serving/1", pushed_version="1"
    )

    assert (payload.pushed, payload.destination, payload.version) == (True, "/serving/1", "1")
    assert _read(made / "model", "Model").pushed is None


def test_a_model_of_another_layout_is_found_and_one_without_is_told(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "pushed", tmp_path / "old" / "eval_model_dir" / "123")
    shutil.copytree(made / "pushed", tmp_path / "old" / "serving_model_dir" / "export" / "x" / "123")
    payload = _read(tmp_path / "old", "Model")
    assert payload.folder == "serving_model_dir/export/x/123"
    assert payload.evaluation_folder == "eval_model_dir/123"
    assert [one.name for one in payload.saved_model.signatures] == ["run"]

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.onnx").write_bytes(b"x" * 10)
    payload = _read(tmp_path / "other", "Model")
    assert payload.saved_model is None and "saved_model.pb" in payload.problem and payload.size == 10
    with pytest.raises(PayloadGone):
        _read(tmp_path / "gone", "Model")


def test_schemas_and_vocabularies_equal_those_of_tensorflow_transform(
    made: Path, answers: dict[str, Any]
) -> None:
    payload = _read(made / "transform", "TransformGraph")

    official = answers["transform"]
    assert {one.name: {"size": one.size, "entries": list(one.entries)} for one in payload.vocabularies} == (
        official["vocabularies"]
    )
    assert sorted(feature.name for feature in payload.raw_schema.features) == official["raw"]
    assert sorted(feature.name for feature in payload.transformed_schema.features) == official["transformed"]
    assert payload.graph is not None and payload.problems == ()


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_long_vocabularies_are_counted_and_cut(
    ending: bytes, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made / "transform", tmp_path / "transform")
    lines = [b"%d" % number for number in range(100_000)] + [b"x" * 400_000, b"last"]
    (tmp_path / "transform" / "transform_fn" / "assets" / "company").write_bytes(b"\n".join(lines) + ending)

    [long, _] = _read(tmp_path / "transform", "TransformGraph").vocabularies
    assert (long.name, long.size, len(long.entries), long.entries[-1]) == ("company", 100_002, 100, "99")

    monkeypatch.setattr(transform, "_MAX_COUNTED", 1000)
    [long, _] = _read(tmp_path / "transform", "TransformGraph").vocabularies
    assert long.size is None and len(long.entries) == 100


def test_what_is_broken_in_a_transform_graph_leaves_the_rest(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "transform"
    shutil.copytree(made / "transform", folder)
    (folder / "transformed_metadata" / "schema.pbtxt").write_text("feature {")
    (folder / "transformed_metadata" / "asset_map").write_text("[1]")
    shutil.rmtree(folder / "metadata")
    (folder / "transform_fn" / "saved_model.pb").write_bytes(b"\xff" * 100)

    payload = _read(folder, "TransformGraph")

    assert payload.raw_schema is None and payload.transformed_schema is None and payload.graph is None
    assert [one.size for one in payload.vocabularies] == [4, 4]
    assert len(payload.problems) == 4 and not any(str(tmp_path) in one for one in payload.problems)


def test_best_hyperparameters_equal_those_of_keras_tuner(made: Path, answers: dict[str, Any]) -> None:
    payload = _read(made / "best_hyperparameters", "HyperParameters")

    official = answers["hyperparameters"]
    assert payload.kind == "hyperparameters"
    assert payload.values() == {**dict.fromkeys(official["kinds"]), **official["best"]}
    assert {one.name: one.kind for one in payload.parameters} == official["kinds"]
    [rate] = [one for one in payload.parameters if one.name == "rate"]
    assert rate.space == {"min_value": 1e-4, "max_value": 1e-1, "sampling": "log"} | (
        {"default": rate.space["default"]} if "default" in rate.space else {}
    )


def test_trials_equal_those_of_keras_tuner(made: Path, answers: dict[str, Any]) -> None:
    payload = _read(made / "tuner_results", "TunerResults")

    assert payload.kind == "tuner_results"
    assert [[one.id, one.score, one.values] for one in payload.trials] == answers["hyperparameters"]["trials"]
    assert payload.names[:1] == ("seed",) and not payload.cut


def test_hyperparameters_of_plain_values_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "found.json").write_text('{"rate": 0.1, "units": [1, 2], "nested": {"a": 1}}')

    payload = _read(folder, "HyperParameters")

    assert payload.values() == {"rate": 0.1, "units": [1, 2], "nested": '{"a": 1}'}


def test_values_equal_those_of_tfx(made: Path, answers: dict[str, Any]) -> None:
    for number, (type_, null, value) in enumerate(answers["values"]):
        payload = _read(made / "values" / str(number), type_, __is_null__=null)
        assert payload.kind == "value"
        same = (
            math.isnan(payload.value)
            if isinstance(value, float) and math.isnan(value)
            else payload.value == value
        )
        assert same and type(payload.value) is type(value), (type_, value)


@pytest.mark.parametrize(
    ("type_", "content"),
    [
        ("Integer", b"one"),
        ("Integer", b"9" * 500_000),
        ("Float", b""),
        ("Boolean", b"\xff"),
        ("String", b"\xff\xfe"),
        ("JsonValue", b"{"),
        ("JsonValue", b"[" * 200_000),
        ("String", b"x" * (2 << 20)),
    ],
)
def test_a_value_that_is_none_is_an_error(type_: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(content)
    with pytest.raises(PayloadError):
        _read(tmp_path / "value", type_)


def test_json_that_names_a_class_imports_nothing(tmp_path: Path) -> None:
    named = {"__tfx_object_type__": "class", "__module__": "antigravity", "__class__": "x"}
    (tmp_path / "value").write_text(json.dumps(named))
    assert _read(tmp_path / "value", "JsonValue").value == named


def test_an_artifact_of_another_type_shows_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "numbers.bin").write_bytes(b"\0" * 7)
    (folder / "report.md").write_text("ä" * 30_000)

    payload = _read(folder, "MyReport")

    assert payload.kind == "other"
    assert [(entry.name, entry.size) for entry in payload.files] == [
        ("deep/numbers.bin", 7),
        ("report.md", 60_000),
    ]
    assert (payload.size, payload.preview_name, payload.preview_cut) == (60_007, "report.md", True)
    assert set(payload.preview) == {"ä"}


_FILES = {
    "model/Format-Serving/saved_model.pb": "Model",
    "pushed/saved_model.pb": "PushedModel",
    "transform/transformed_metadata/asset_map": "TransformGraph",
    "transform/transform_fn/assets/company": "TransformGraph",
    "best_hyperparameters/best_hyperparameters.txt": "HyperParameters",
    "tuner_results/tuner_results.json": "TunerResults",
    "values/8": "JsonValue",
    "values/3": "Float",
    "values/2": "Integer",
    "values/0": "String",
}


@pytest.mark.parametrize("name", _FILES)
def test_mutations_raise_nothing_but_payload_errors(name: str, made: Path, tmp_path: Path) -> None:
    draw = random.Random(name)
    top = name.split("/")[0]
    shutil.copytree(made / top, tmp_path / top)
    path = tmp_path / name
    whole = path.read_bytes()
    uri = path if top == "values" else tmp_path / top
    for _ in range(100 * MUTATIONS):
        changed = bytearray(whole)
        for _ in range(draw.randint(1, 8)):
            place = draw.randrange(len(changed) + 1)
            if draw.random() < 0.5:
                changed[place : place + 1] = bytes([draw.randrange(256)])
            elif draw.random() < 0.5:
                del changed[place : place + draw.randint(1, 20)]
            else:
                changed[place:place] = changed[: draw.randint(0, 30)]
        path.write_bytes(changed)
        try:
            json.dumps(dataclasses.asdict(_read(uri, _FILES[name])))
        except PayloadError as error:
            assert str(tmp_path) not in str(error)


def test_a_signature_too_large_and_a_file_too_large_are_errors(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    path = folder / saved_model.FILE
    part = b"\x2a" + varint(3 << 20) + b"\0" * (3 << 20)  # a signature entry
    path.write_bytes(b"\x12" + varint(len(part)) + part)
    assert "2 MiB" in _read(folder, "Model").problem
    with path.open("wb") as file:
        file.truncate(1 << 40)
    payload = _read(folder, "Model")
    assert payload.saved_model is None and "larger" in payload.problem and payload.size == 1 << 40
