"""Artifacts in a bucket read like those in a folder; moto's server plays S3."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files import objects, tfrecord
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import anomalies, examples, schema, statistics

from tests.bundle import STATE
from tests.panel.data_artifacts import artifact, official_data

_START_SECONDS = 30.0


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Options of the driver that lead to a server of S3."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("s3") / "log"
    with open(log, "wb") as output:
        server = subprocess.Popen(
            [STATE / "services" / "bin" / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield {"key": "key", "secret": "secret", "endpoint_url": f"http://127.0.0.1:{port}"}
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def artifacts(options: dict[str, Any]) -> Path:
    """A folder of artifacts, which is also s3://bucket/tfx."""
    folder = official_data().folder
    s3 = fsspec.filesystem("s3", skip_instance_cache=True, **options)
    for bucket in ("bucket", "bucket-evil"):
        s3.mkdir(bucket)
    for path in folder.rglob("*"):
        if path.is_file():
            s3.pipe_file(f"bucket/tfx/{path.relative_to(folder)}", path.read_bytes())
    s3.pipe_file("bucket/tfx/examples/", b"")  # the mark that consoles make of a folder
    for secret in ("bucket-evil/tfx/x", "bucket/tfx-evil/x", "bucket/x"):
        s3.pipe_file(secret, b"secret")
    return folder


@pytest.mark.parametrize(
    ("name", "module"),
    [("examples", examples), ("statistics", statistics), ("schema", schema), ("anomalies", anomalies)],
)
def test_artifacts_in_a_bucket_read_as_in_a_folder(
    artifacts: Path, options: dict[str, Any], name: str, module: Any
) -> None:
    in_bucket = Files(["s3://bucket/tfx/"], options=lambda protocol: options)
    in_folder = Files([str(artifacts)])
    local = module.read(artifact(f"{artifacts}/{name}"), in_folder)
    for scheme in ("s3", "s3a"):
        for end in ("", "/"):
            read = module.read(artifact(f"{scheme}://bucket/tfx/{name}{end}"), in_bucket)
            assert repr(_undated(read)) == repr(_undated(local))


def _undated(payload: Any) -> Any:
    """A payload without the times at which files were written: a bucket's are later."""
    if not hasattr(payload, "listing"):
        return payload
    listing = tuple(dataclasses.replace(entry, modified=None) for entry in payload.listing)
    return dataclasses.replace(payload, listing=listing)


def test_a_bucket_is_listed_as_a_folder(artifacts: Path, options: dict[str, Any]) -> None:
    in_bucket = Files(["s3://bucket"], options=lambda protocol: options)
    listed = in_bucket.list("s3://bucket/tfx/examples")
    local = Files([str(artifacts)]).list(f"{artifacts}/examples")
    assert [(entry.name, entry.size) for entry in listed] == [(entry.name, entry.size) for entry in local]
    assert all(abs(entry.modified - time.time() * 1000) < 600_000 for entry in listed)
    assert in_bucket.list("s3://bucket/tfx", depth=1).cut
    assert [entry.name for entry in in_bucket.list("s3://bucket/tfx/schema/schema.pbtxt")] == [""]
    assert Files(["s3://bucket"], options=lambda protocol: options, max_entries=3).list("s3://bucket/tfx").cut


def test_of_a_large_prefix_no_more_is_listed_than_is_shown(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = fsspec.filesystem("s3", skip_instance_cache=True, **options)
    s3.mkdir("large")
    for number in range(40):
        s3.pipe_file(f"large/flat/{number:02}", b"x")
    monkeypatch.setattr(objects, "_KEYS", 10)
    files = Files(["s3://large"], options=lambda protocol: options, max_entries=15)
    store = files._store("s3")
    pages: list[int] = []
    ask = store._ask

    def counted(shown: str, method: str, *args: Any, **kwargs: Any) -> Any:
        answer = ask(shown, method, *args, **kwargs)
        pages.append(len(answer.get("Contents", ())))
        return answer

    monkeypatch.setattr(store, "_ask", counted)
    listed = files.list("s3://large/flat")
    assert [entry.name for entry in listed] == [f"{number:02}" for number in range(15)] and listed.cut
    assert pages == [10, 6]
    whole = Files(["s3://large"], options=lambda protocol: options).list("s3://large/flat")
    assert len(whole) == 40 and not whole.cut


def test_a_large_object_is_read_in_parts(artifacts: Path, options: dict[str, Any]) -> None:
    uri = "s3://bucket/tfx/large"
    data = os.urandom(3_000_000)
    fsspec.filesystem("s3", skip_instance_cache=True, **options).pipe_file(uri, data)
    files = Files(["s3://bucket"], options=lambda protocol: options)
    assert files.read(uri) == data
    with files.open(uri) as file:
        file.seek(2_500_000)
        assert file.read(10) == data[2_500_000:2_500_010]
    with pytest.raises(PayloadError, match="larger than"):
        files.read(uri, limit=1000)
    with pytest.raises(PayloadError, match="not a TFRecord file"):
        list(tfrecord.records(files, uri))


def test_what_is_gone_outside_or_forbidden_is_told(artifacts: Path, options: dict[str, Any]) -> None:
    files = Files(["s3://bucket/tfx", "s3://absent"], options=lambda protocol: options)
    for uri in ("s3://bucket/tfx/none", "s3://absent/x"):
        with pytest.raises(PayloadGone):
            files.read(uri)
        with pytest.raises(PayloadGone):
            files.list(uri)
    for uri in ("s3://bucket-evil/tfx/x", "s3://bucket/tfx-evil/x", "s3://bucket/x", "s3://bucket/tfx/../x"):
        with pytest.raises(PayloadError, match="outside"):
            files.read(uri)
        with pytest.raises(PayloadError, match="outside"):
            files.list(uri)


def test_the_environment_is_enough(
    artifacts: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", options["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", options["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", options["endpoint_url"])
    files = Files(["s3://bucket/tfx"])
    assert (
        files.read("s3://bucket/tfx/schema", "schema.pbtxt")
        == (artifacts / "schema/schema.pbtxt").read_bytes()
    )


def test_a_server_that_is_down_is_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    down = {"key": "key", "secret": "very-secret", "endpoint_url": f"http://127.0.0.1:{port}"}
    started = time.monotonic()
    with pytest.raises(PayloadError, match="does not respond") as raised:
        Files(["s3://bucket"], options=lambda protocol: down).read("s3://bucket/x")
    assert time.monotonic() - started < 10
    assert str(port) not in str(raised.value) and "very-secret" not in caplog.text
