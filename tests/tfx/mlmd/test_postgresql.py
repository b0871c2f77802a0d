"""Backslashes on their way to PostgreSQL and back; `tests/airflow/test_mlmd_servers.py` sends them to a real one."""

from __future__ import annotations

from ml_metadata.proto import metadata_store_pb2, metadata_store_service_pb2

from include.tfx_airflow.contract.mlmd_facts import POSTGRESQL_BACKSLASH
from include.tfx_airflow.tfx_side.mlmd import postgresql

TEXT = r'{"config": "{\"num_thresholds\": 200}"}'


def _request() -> metadata_store_service_pb2.PutExecutionRequest:
    request = metadata_store_service_pb2.PutExecutionRequest()
    execution = request.execution
    execution.name = r"C:\data"
    execution.properties["eval_config"].string_value = TEXT
    execution.custom_properties["count"].int_value = 5
    execution.custom_properties["settings"].struct_value["path"] = "a\\b"
    pair = request.artifact_event_pairs.add()
    pair.artifact.uri = r"\\server\share"
    pair.event.path.steps.add().key = "a\\b"
    context = request.contexts.add()
    context.name = "plain"
    return request


def test_every_string_but_those_of_structs_is_sent_without_backslashes_and_read_with_them() -> None:
    request = _request()
    postgresql.replace(request, "\\", POSTGRESQL_BACKSLASH)
    execution = request.execution
    texts = [execution.name, execution.properties["eval_config"].string_value]
    texts += [
        request.artifact_event_pairs[0].artifact.uri,
        request.artifact_event_pairs[0].event.path.steps[0].key,
    ]
    assert not any("\\" in text for text in texts)
    assert all(POSTGRESQL_BACKSLASH in text for text in texts)
    assert execution.custom_properties["settings"].struct_value["path"] == "a\\b"
    postgresql.replace(request, POSTGRESQL_BACKSLASH, "\\")
    assert request == _request()


def test_repeated_strings_and_maps_of_numbers_are_handled() -> None:
    request = metadata_store_service_pb2.GetArtifactsByURIRequest(uris=["a\\b", "c"])
    postgresql.replace(request, "\\", "/")
    assert list(request.uris) == ["a/b", "c"]
    kind = metadata_store_pb2.ArtifactType(name="a\\b", properties={"span": metadata_store_pb2.INT})
    postgresql.replace(kind, "\\", "/")
    assert kind.name == "a/b" and kind.properties["span"] == metadata_store_pb2.INT
