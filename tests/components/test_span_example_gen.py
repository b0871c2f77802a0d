"""Which files SpanExampleGen reads: those of the newest complete version of the span that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tfx import v1 as tfx
from tfx.proto import example_gen_pb2, range_config_pb2

from include.components.anomaly_gate import AnomaliesError, AnomalyGate
from include.components.span_example_gen import CompleteSpansDriver


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


def test_gate_knows_its_policies(anomalies: Path) -> None:
    with pytest.raises(ValueError, match="policy = 'stop' is not one of"):
        _gate(anomalies, "stop")
