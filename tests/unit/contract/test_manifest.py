"""The manifest on disk: what is written is read again, anything else is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from include.tfx_airflow.contract.errors import ManifestError
from include.tfx_airflow.contract.legacy import LegacyDag
from include.tfx_airflow.contract.manifest import FORMAT, MANIFEST_FILE, Manifest, Node, RuntimeParameter

MANIFEST = Manifest(
    pipeline_name="taxi",
    reference="include.taxi.pipeline:create_pipeline",
    nodes=(
        Node(id="Gen", kind="CsvExampleGen", type="tfx.CsvExampleGen", outputs={"examples": "Examples"}),
        Node(
            id="Train",
            kind="Trainer",
            type="tfx.Trainer",
            upstream=("Gen",),
            parameters=("steps",),
            conditional=True,
            trigger_rule="all_done",
            retries=0,
            timeout_seconds=60,
            doc="Trains a model: größer.",
        ),
    ),
    runtime_parameters=(RuntimeParameter("steps", "integer", 0, "the steps"),),
    files=("${BUNDLE_ROOT}/include/taxi/pipeline.py",),
    environment={"tfx": "1.16.0", "python": "python3.10"},
    doc="A pipeline.",
)


def test_round_trip_keeps_everything() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    dag = LegacyDag("taxi", 9, {"catchup": False}, {"Gen.input_base": "{{ ds }}"}, "sqlite:////a", ("b",))
    legacy = dataclasses.replace(MANIFEST, legacy=dag, others=1, airflow_variables=("region",))
    assert Manifest.from_json(legacy.to_json()) == legacy


def test_equal_manifests_are_equal_bytes() -> None:
    again = Manifest.from_json(MANIFEST.to_json())
    assert again.to_json() == MANIFEST.to_json()


def test_read_takes_the_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_text(MANIFEST.to_json(), encoding="utf-8")
    assert Manifest.read(tmp_path) == MANIFEST


@pytest.mark.parametrize("other", [FORMAT + 1, FORMAT - 1, str(FORMAT)])
def test_another_format_is_refused_by_number(other: object) -> None:
    data = {**json.loads(MANIFEST.to_json()), "format": other}
    with pytest.raises(ManifestError, match="compile again") as caught:
        Manifest.from_json(json.dumps(data))
    assert f"its format is {other!r}, and {FORMAT} is needed" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '"text"', json.dumps({"format": FORMAT})],
    ids=["empty", "cut", "list", "null", "no-format", "string", "format-only"],
)
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="not a manifest"):
        Manifest.from_json(text)


@pytest.mark.parametrize("key", ["nodes", "runtime_parameters", "files", "pipeline_name"])
def test_a_missing_part_is_refused(key: str) -> None:
    data = json.loads(MANIFEST.to_json())
    del data[key]
    with pytest.raises(ManifestError, match=key):
        Manifest.from_json(json.dumps(data))


def test_an_unknown_field_is_refused() -> None:
    data = json.loads(MANIFEST.to_json())
    data["nodes"][0]["colour"] = "red"
    with pytest.raises(ManifestError, match="colour"):
        Manifest.from_json(json.dumps(data))
