"""Which files SpanExampleGen reads: those of the newest complete version of the span that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tfx import v1 as tfx
from tfx.proto import example_gen_pb2, range_config_pb2

from include.components.anomaly_gate import AnomaliesError, AnomalyGate
from include.components.span_example_gen import CompleteSpansDriver
from include.tfx_airflow.tfx_side.node import outputs
from tests.components.history import History


def _deliver(root: Path, span: int, version: int, complete: bool = True, text: str = "a\n1\n") -> None:
    folder = root / str(span) / f"v{version}"
    folder.mkdir(parents=True)
    (folder / "trips-00000-of-00001.csv").write_text(text)
    if complete:
        (folder / "_SUCCESS").write_text("{}")


def _resolve(root: Path, span: int) -> tuple[int, int | None, str, str]:
    splits = [example_gen_pb2.Input.Split(name="trips", pattern="{SPAN}/v{VERSION}/trips-*")]
    asked = range_config_pb2.RangeConfig(
        static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    )
    processor = CompleteSpansDriver(None).get_input_processor(splits, asked, str(root))
    found, version = processor.resolve_span_and_version()
    return (
        found,
        version,
        processor.get_pattern_for_span_version(splits[0].pattern, found, version),
        processor.get_input_fingerprint(found, version),
    )


def test_newest_complete_version_is_read(tmp_path: Path) -> None:
    _deliver(tmp_path, 201401, 0)
    _deliver(tmp_path, 201401, 1)
    _deliver(tmp_path, 201401, 2, complete=False)
    _deliver(tmp_path, 201402, 5)
    assert _resolve(tmp_path, 201401)[:3] == (201401, 1, "201401/v1/trips-*")


def test_fingerprint_is_of_the_data_that_are_read(tmp_path: Path) -> None:
    _deliver(tmp_path, 201401, 0)
    before = _resolve(tmp_path, 201401)[3]
    _deliver(tmp_path, 201401, 1, complete=False, text="a\n2\n3\n")
    assert _resolve(tmp_path, 201401)[3] == before
    (tmp_path / "201401/v1/_SUCCESS").write_text("")
    assert _resolve(tmp_path, 201401)[3] != before


@pytest.mark.parametrize("unfinished", [False, True])
def test_span_that_is_not_there_is_an_error_never_an_older_one(tmp_path: Path, unfinished: bool) -> None:
    _deliver(tmp_path, 201401, 0)
    if unfinished:
        _deliver(tmp_path, 201402, 0, complete=False)
    with pytest.raises(ValueError, match="Span 201402 has no complete version below .* _SUCCESS"):
        _resolve(tmp_path, 201402)


def _gate(folder: Path, policy: str) -> dict[str, Any]:
    anomalies = tfx.types.standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(folder)
    gate = AnomalyGate.EXECUTOR_SPEC.executor_class._FUNCTION
    return gate(examples=None, anomalies=anomalies, policy=policy)


@pytest.fixture
def anomalies(tmp_path: Path) -> Path:
    """What ExampleValidator writes: one anomaly in a split, none in the other."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    found = anomalies_pb2.Anomalies()
    found.anomaly_info["payment_type"].short_description = "Unexpected string values"
    found.anomaly_info["payment_type"].description = "Examples contain values missing from the schema: Cach"
    for split, proto in (("train", found), ("eval", anomalies_pb2.Anomalies())):
        (tmp_path / f"Split-{split}").mkdir()
        (tmp_path / f"Split-{split}" / "SchemaDiff.pb").write_bytes(proto.SerializeToString())
    return tmp_path


def test_gate_fails_on_anomalies_and_lists_them(anomalies: Path) -> None:
    with pytest.raises(
        AnomaliesError, match="train: payment_type: Unexpected string values: .*Cach"
    ) as caught:
        _gate(anomalies, "fail")
    assert "policy 'warn'" in str(caught.value)


@pytest.mark.parametrize("policy", ["warn", "ignore"])
def test_gate_lets_anomalies_pass_and_counts_them(anomalies: Path, policy: str) -> None:
    assert _gate(anomalies, policy) == {"count": 1}


@pytest.fixture
def drifted(tmp_path: Path) -> Path:
    """What DistributionValidator writes: drift by three measures, of which it leaves one out, and fewer rows."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import anomalies_pb2
    from tfx.components.distribution_validator import executor

    found = anomalies_pb2.Anomalies()
    for name, key, reason, measure in (
        ("fare", "fare", "JENSEN_SHANNON_DIVERGENCE_HIGH", "JENSEN_SHANNON_DIVERGENCE"),
        ("pay.type", "'pay.type'", "L_INFTY_HIGH", "L_INFTY"),
        ("company", "company", "NORMALIZED_ABSOLUTE_DIFFERENCE_HIGH", "NORMALIZED_ABSOLUTE_DIFFERENCE"),
    ):
        text = f"""
            short_description: "Multiple errors" description: "New values. The {measure} is 1."
            reason {{ type: ENUM_TYPE_UNEXPECTED_STRING_VALUES short_description: "New" description: "New values." }}
            reason {{ type: COMPARATOR_{reason} short_description: "High" description: "The {measure} is 1." }}
            path {{ step: "{name}" }}"""
        text_format.Parse(text, found.anomaly_info[key])
        measurement = f"{{ type: {measure} value: 1 threshold: 0.25 }}"
        text = f'path {{ step: "{name}" }} drift_measurements {measurement}'
        text_format.Parse(text, found.drift_skew_info.add())
    low = 'type: COMPARATOR_LOW_NUM_EXAMPLES short_description: "Low" description: "0.8 of the rows."'
    text = f'short_description: "Low" description: "0.8 of the rows." reason {{ {low} }}'
    text_format.Parse(text, found.dataset_anomaly_info)
    (tmp_path / "SplitPair-train_train").mkdir()
    written = executor._get_comparison_only_anomalies(found).SerializeToString()
    (tmp_path / "SplitPair-train_train" / "SchemaDiff.pb").write_bytes(written)
    return tmp_path


def test_gate_counts_a_drift_once_and_says_what_it_is(drifted: Path) -> None:
    with pytest.raises(AnomaliesError) as caught:
        _gate(drifted, "fail")
    _, *lines, _ = str(caught.value).splitlines()
    assert [line.partition("train_train: ")[2] for line in lines] == [
        "'pay.type': High: The L_INFTY is 1.",
        "fare: High: The JENSEN_SHANNON_DIVERGENCE is 1.",
        "0.8 of the rows.",
        "company: High distance: distance 1.000 > 0.250",
    ]


def test_gate_counts_what_the_summary_of_the_validator_counts(drifted: Path) -> None:
    history = History()
    anomalies = tfx.types.standard_artifacts.ExampleAnomalies()
    anomalies.uri, anomalies.type_id = str(drifted), history.store.put_artifact_type(anomalies.artifact_type)
    [anomalies.id] = history.store.put_artifacts([anomalies.mlmd_artifact])
    history.execution("DistributionValidator", [], [anomalies])
    _, summary = outputs.describe(history.store, execution_id=1)
    assert {where.partition("train_train")[2]: short for where, short in summary["anomalies"].items()} == {
        "": "Low",
        "/fare": "High",
        "/'pay.type'": "High",
        "/company": "High distance",
    }
    assert _gate(drifted, "ignore") == {"count": 4}


def test_gate_knows_its_policies(anomalies: Path) -> None:
    with pytest.raises(ValueError, match="policy = 'stop' is not one of"):
        _gate(anomalies, "stop")
