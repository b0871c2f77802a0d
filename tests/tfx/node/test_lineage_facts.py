"""What a lineage catalogue is told of an execution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2

from include.tfx_airflow.tfx_side.node import lineage_facts
from tests.components.history import History

_Event = metadata_store_pb2.Event


@pytest.fixture
def store() -> mlmd.MetadataStore:
    return History().store


def _execution(store: Any, *made: tuple[str, str]) -> int:
    """An execution with outputs of types at URIs."""
    type_id = store.put_execution_type(metadata_store_pb2.ExecutionType(name="Node"))
    [id_] = store.put_executions([metadata_store_pb2.Execution(type_id=type_id)])
    for kind, uri in made:
        artifact_type = store.put_artifact_type(metadata_store_pb2.ArtifactType(name=kind))
        [artifact] = store.put_artifacts([metadata_store_pb2.Artifact(type_id=artifact_type, uri=uri)])
        event = _Event(artifact_id=artifact, execution_id=id_, type=_Event.OUTPUT)
        event.path.steps.add().key = kind.lower()
        store.put_events([event])
    return id_


def test_metrics_verdicts_and_destinations_are_facts_of_their_artifacts(store: Any) -> None:
    places = {
        kind: f"s3://bucket/taxi/Node/{kind}/7" for kind in ("ModelEvaluation", "ModelBlessing", "Model")
    }
    id_ = _execution(store, *places.items())
    summary = {"metrics": {"auc": {"value": 0.9}}, "blessed": True, "failed_thresholds": []}
    made = {one["type"]: one for one in lineage_facts.describe(store, id_, {}, summary)["outputs"]}
    assert made["ModelEvaluation"]["facts"] == {"metrics": {"auc": {"value": 0.9}}, "failed_thresholds": []}
    assert made["ModelBlessing"]["facts"] == {"blessed": True}
    assert "facts" not in made["Model"]
    assert made["Model"]["channel"] == "s3://bucket/taxi/Node/Model"


@pytest.mark.parametrize(
    ("uri", "channel"),
    [
        ("/root/taxi/Write/text/12/value", "/root/taxi/Write/text"),
        ("/root/taxi/Trainer/model/12/", "/root/taxi/Trainer/model"),
        ("/srv/imported/schema", "/srv/imported/schema"),
        ("/12", "/12"),
        ("", ""),
    ],
)
def test_the_dataset_is_the_channel_of_an_artifact(store: Any, uri: str, channel: str) -> None:
    id_ = _execution(store, ("Thing", uri))
    [one] = lineage_facts.describe(store, id_, {}, {})["outputs"]
    assert (one["uri"], one["channel"]) == (uri, channel)


def test_what_cannot_be_read_is_said_and_fails_nothing(store: Any, tmp_path: Path) -> None:
    id_ = _execution(store, ("Schema", str(tmp_path / "gone")), ("ExampleStatistics", str(tmp_path / "gone")))
    made = lineage_facts.describe(store, id_, {}, {})["outputs"]
    assert all(one["unreadable"] and "fields" not in one for one in made)


def test_fields_that_are_left_out_are_counted(store: Any, tmp_path: Path) -> None:
    features = "".join(f'feature {{ name: "f{number}" type: INT }}\n' for number in range(1003))
    (tmp_path / "schema.pbtxt").write_text(features)
    [one] = lineage_facts.describe(store, _execution(store, ("Schema", str(tmp_path))), {}, {})["outputs"]
    assert one["fields"][0] == ["f0", "INT"]
    assert (len(one["fields"]), one["fields_left_out"]) == (1000, 3)
