"""Notes on the artifacts of an execution, for the log, XCom and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from ml_metadata.proto import metadata_store_pb2
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import artifact as artifact_lib
from tfx.types import standard_artifacts

from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import outputs


def _describe(
    address: dict[str, Any],
    kind_of_event: int = metadata_store_pb2.Event.OUTPUT,
    **artifacts: artifact_lib.Artifact,
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Stores an execution with these outputs, then describes it."""
    with mlmd_store.open_store(address) as store:
        kind = store.put_execution_type(metadata_store_pb2.ExecutionType(name="Node"))
        pairs = []
        for key, artifact in artifacts.items():
            artifact.type_id = store.put_artifact_type(artifact.artifact_type)
            event = metadata_store_pb2.Event(type=kind_of_event)
            event.path.steps.add().key = key
            event.path.steps.add().index = 0
            pairs.append((artifact.mlmd_artifact, event))
        execution = metadata_store_pb2.Execution(type_id=kind)
        number, *_ = store.put_execution(execution, pairs, [])
        return outputs.describe(store, number)


def _note(address: dict[str, Any], artifact: artifact_lib.Artifact) -> tuple[str, dict[str, Any]]:
    described, summary = _describe(address, it=artifact)
    [only] = described["it"]
    return only["note"], summary


def _evaluation(folder: Path, validations: str, metrics: str = "") -> artifact_lib.Artifact:
    """A ModelEvaluation as TFMA writes it."""
    for name, message in (
        ("metrics", text_format.Parse(metrics, tfma.proto.metrics_for_slice_pb2.MetricsForSlice())),
        ("validations", text_format.Parse(validations, tfma.proto.validation_result_pb2.ValidationResult())),
    ):
        with tf.io.TFRecordWriter(str(folder / f"{name}-00000-of-00001.tfrecord")) as writer:
            writer.write(message.SerializeToString())
    artifact = standard_artifacts.ModelEvaluation()
    artifact.uri = str(folder)
    return artifact


def test_outputs_are_listed_by_key(address: dict[str, Any]) -> None:
    model, schema = standard_artifacts.Model(), standard_artifacts.Schema()
    model.uri, schema.uri = "/srv/model", "/srv/schema"
    described, summary = _describe(address, schema=schema, model=model)
    assert list(described) == ["model", "schema"]
    assert {key: [(a["type"], a["uri"], a["note"]) for a in found] for key, found in described.items()} == {
        "model": [("Model", "/srv/model", "")],
        "schema": [("Schema", "/srv/schema", "")],
    }
    assert summary == {}


def test_what_a_resolver_found_is_listed_and_is_no_verdict_on_this_run(address: dict[str, Any]) -> None:
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", 1)
    described, summary = _describe(address, metadata_store_pb2.Event.INTERNAL_OUTPUT, model_blessing=blessing)
    assert [artifact["note"] for artifact in described["model_blessing"]] == ["BLESSED"]
    assert summary == {}


def test_inputs_of_an_execution_are_not_its_outputs(address: dict[str, Any]) -> None:
    with mlmd_store.open_store(address) as store:
        kind = store.put_execution_type(metadata_store_pb2.ExecutionType(name="Node"))
        model = standard_artifacts.Model()
        model.type_id = store.put_artifact_type(model.artifact_type)
        event = metadata_store_pb2.Event(type=metadata_store_pb2.Event.INPUT)
        pair = (model.mlmd_artifact, event)
        number, *_ = store.put_execution(metadata_store_pb2.Execution(type_id=kind), [pair], [])
        assert outputs.describe(store, number) == ({}, {})


def test_examples_say_span_and_version(address: dict[str, Any]) -> None:
    examples = standard_artifacts.Examples()
    examples.span, examples.version = 12, 3
    assert _note(address, examples) == ("span 12, version 3", {"span": 12})


def test_examples_of_example_gen_have_their_span_as_a_text(address: dict[str, Any]) -> None:
    examples = standard_artifacts.Examples()
    examples.set_string_custom_property("span", "0")
    assert _note(address, examples) == ("span 0, version 0", {"span": 0})


def test_examples_without_a_span_have_no_note(address: dict[str, Any]) -> None:
    assert _note(address, standard_artifacts.Examples()) == ("", {})


@pytest.mark.parametrize(
    ("value", "note", "summary"),
    [
        (1, "BLESSED", {"blessed": True}),
        (0, "NOT BLESSED", {"blessed": False}),
        (None, "not evaluated", {}),
    ],
)
def test_blessing(address: dict[str, Any], value: int | None, note: str, summary: dict[str, Any]) -> None:
    blessing = standard_artifacts.ModelBlessing()
    if value is not None:
        blessing.set_int_custom_property("blessed", value)
    assert _note(address, blessing) == (note, summary)


def test_blessing_of_a_gate_with_evidence_is_no_verdict_of_tfma(address: dict[str, Any]) -> None:
    blessing = standard_artifacts.ModelBlessing()
    numbers = {"blessed": 0, "decides": 1, "passed": 3, "failed": 0, "inconclusive": 1}
    for name, value in numbers.items():
        blessing.set_int_custom_property(name, value)
    texts = {"verdict": "inconclusive", "reason": "1 of 4.", "waiting_for": "human"}
    for name, text in texts.items():
        blessing.set_string_custom_property(name, text)
    assert _note(address, blessing) == (
        "NOT BLESSED, inconclusive, waits for a human",
        {"evidence": {**numbers, **texts, "blessed": False, "decides": True}},
    )


def test_pushed_model_says_where_to(address: dict[str, Any]) -> None:
    pushed = standard_artifacts.PushedModel()
    pushed.set_int_custom_property("pushed", 1)
    pushed.set_string_custom_property("pushed_destination", "/srv/serving/1")
    assert _note(address, pushed) == ("pushed to /srv/serving/1", {"pushed": "/srv/serving/1"})


def test_model_that_was_not_pushed_says_so(address: dict[str, Any]) -> None:
    pushed = standard_artifacts.PushedModel()
    pushed.set_int_custom_property("pushed", 0)
    assert _note(address, pushed) == ("not pushed", {"pushed": ""})


def test_anomalies_are_named_by_split_and_feature(address: dict[str, Any], tmp_path: Path) -> None:
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["fare"].short_description = "Unexpected values"
    for split, message in (("Split-train", anomalies_pb2.Anomalies()), ("Split-eval", found)):
        (tmp_path / split).mkdir()
        (tmp_path / split / "SchemaDiff.pb").write_bytes(message.SerializeToString())
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(tmp_path)
    note, summary = _note(address, anomalies)
    assert note == "1 anomalies: eval/fare: Unexpected values"
    assert summary == {"anomalies": {"eval/fare": "Unexpected values"}}


def test_evaluation_gives_overall_metrics_and_failed_thresholds(
    address: dict[str, Any], tmp_path: Path
) -> None:
    metrics = """
        slice_key {}
        metric_keys_and_values { key { name: "auc" } value { double_value { value: 0.71 } } }
        metric_keys_and_values {
          key { name: "auc" is_diff: true } value { double_value { value: 0.1 } }
        }
        """
    validations = """
        metric_validations_per_slice {
          slice_key {}
          failures {
            metric_key { name: "auc" }
            metric_value { double_value { value: 0.71 } }
            metric_threshold { value_threshold { lower_bound { value: 0.8 } } }
          }
        }
        """
    note, summary = _note(address, _evaluation(tmp_path, validations, metrics))
    assert note == "auc 0.71"
    assert summary == {"metrics": {"auc": {"value": 0.71}}, "failed_thresholds": ["auc 0.71 is below 0.8"]}


def test_metrics_of_one_name_are_told_apart(address: dict[str, Any], tmp_path: Path) -> None:
    keys = {
        "auc (linear)": 'name: "auc" model_name: "linear"',
        "auc (dnn)": 'name: "auc" model_name: "dnn"',
        "auc (dnn, weighted)": 'name: "auc" model_name: "dnn" example_weighted { value: true }',
        "f1 (colour, micro)": 'name: "f1" output_name: "colour" aggregation_type { micro_average: true }',
        "recall (classId:2)": 'name: "recall" sub_key { class_id { value: 2 } }',
        "recall (classId:3)": 'name: "recall" model_name: "candidate" sub_key { class_id { value: 3 } }',
        "auc": 'name: "auc" example_weighted { }',
    }
    metrics = "slice_key {}" + "".join(
        f"metric_keys_and_values {{ key {{ {key} }} value {{ double_value {{ value: {number} }} }} }}"
        for number, key in enumerate(keys.values())
    )
    metrics += 'metric_keys_and_values { key { name: "auc" model_name: "baseline" } value { double_value { value: 9 } } }'
    _, summary = _note(address, _evaluation(tmp_path, "", metrics))
    assert {name: value["value"] for name, value in summary["metrics"].items()} == {
        name: number for number, name in enumerate(keys)
    }


def test_metrics_that_are_left_out_are_counted(address: dict[str, Any], tmp_path: Path) -> None:
    metrics = "slice_key {}" + "".join(
        f'metric_keys_and_values {{ key {{ name: "m{number:03}" }} value {{ double_value {{ value: 1 }} }} }}'
        for number in range(103)
    )
    note, summary = _note(address, _evaluation(tmp_path, "", metrics))
    assert len(summary["metrics"]) == 100 and summary["metrics_left_out"] == 3
    assert note.endswith("and 3 more metrics")


@pytest.mark.parametrize(("value", "note"), [(1, "BLESSED"), (0, "NOT BLESSED"), (None, "not validated")])
def test_infra_blessing(address: dict[str, Any], value: int | None, note: str) -> None:
    blessing = standard_artifacts.InfraBlessing()
    if value is not None:
        blessing.set_int_custom_property("blessed", value)
    expected = {} if value is None else {"infra_blessed": bool(value)}
    assert _note(address, blessing) == (note, expected)


def test_first_model_is_a_rubber_stamp(address: dict[str, Any], tmp_path: Path) -> None:
    _, summary = _note(address, _evaluation(tmp_path, "validation_ok: true rubber_stamp: true"))
    assert summary["rubber_stamp"] is True
    assert summary["failed_thresholds"] == []


@pytest.mark.parametrize("case", ["absent", "garbage"])
def test_evaluation_that_cannot_be_read_is_said_in_the_note(
    address: dict[str, Any], tmp_path: Path, case: str
) -> None:
    evaluation = standard_artifacts.ModelEvaluation()
    evaluation.uri = str(tmp_path / "evaluation")
    if case == "garbage":
        (tmp_path / "evaluation").mkdir()
        for name in ("metrics", "validations"):
            (tmp_path / "evaluation" / f"{name}-00000-of-00001.tfrecord").write_bytes(b"no record at all")
    model = standard_artifacts.Model()
    described, summary = _describe(address, evaluation=evaluation, model=model)
    assert set(described) == {"evaluation", "model"}
    assert "Error" in described["evaluation"][0]["note"]
    assert summary.keys() <= {"unreadable"}
