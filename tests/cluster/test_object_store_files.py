"""Objects as nodes and retention handle them: listed, copied, moved, removed, and what is said when the server is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.contract.errors import ObjectStoreError
from include.tfx_airflow.tfx_side.object_store import driver
from include.tfx_airflow.tfx_side.object_store.local_copies import EMPTY, LocalCopies
from include.tfx_airflow.tfx_side.retention import files
from tests.cluster import object_store
from tests.cluster.object_store import BUCKET, SECRET, ObjectStore

MODEL = f"s3://{BUCKET}/root/Trainer/model/7"
VALUE = f"s3://{BUCKET}/root/Make/text/8/value"
NOTHING = f"s3://{BUCKET}/root/Make/nothing/9"
CONTENT = {f"{MODEL}/saved_model.pb": b"graph", f"{MODEL}/variables/data": b"weights", VALUE: b"a value"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def store(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """S3 with the same few objects for each test, as this process's own."""
    for name, value in server.variables().items():
        monkeypatch.setenv(name, value)
    driver._file_system.cache_clear()
    there = server.files()
    for path in there.find(BUCKET):
        there.rm_file(path)
    for address, content in {**CONTENT, f"{NOTHING}/{EMPTY}": b"", f"{MODEL}1/other": b"another's"}.items():
        there.pipe_file(address, content)
    yield server
    driver._file_system.cache_clear()


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[LocalCopies]:
    made = LocalCopies(str(tmp_path / "staging"), 1 << 20)
    yield made
    made.close()


def _sizes(found: dict[str, dict[str, Any]]) -> dict[str, int]:
    return {name: info["size"] for name, info in found.items()}


def test_what_is_below_an_address_is_listed_and_nothing_beside_it(store: ObjectStore) -> None:
    assert _sizes(driver.files(MODEL)) == {"saved_model.pb": 5, "variables/data": 7}
    assert _sizes(driver.files(f"{MODEL}/")) == {"saved_model.pb": 5, "variables/data": 7}
    assert _sizes(driver.files(VALUE)) == {"": 7}
    assert driver.files(f"{MODEL}/absent") == driver.files(f"s3://{BUCKET}-absent/x") == {}


def test_a_copy_has_the_content_and_is_made_once(store: ObjectStore, copies: LocalCopies) -> None:
    folder, value, empty = (Path(copies.of(address)) for address in (MODEL, VALUE, NOTHING))
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == {"saved_model.pb": b"graph", "variables/data": b"weights"}
    assert (folder.name, value.read_bytes(), list(empty.iterdir())) == ("7", b"a value", [])
    before = folder.stat().st_ino
    assert copies.of(MODEL) == str(folder) and folder.stat().st_ino == before
    driver.of(MODEL).pipe_file(f"{MODEL}/saved_model.pb", b"GRAPH")
    changed = Path(copies.of(MODEL))
    assert changed != folder and (changed / "saved_model.pb").read_bytes() == b"GRAPH"
    with pytest.raises(ObjectStoreError, match=r"absent' has no files; clear the task"):
        copies.of(f"{MODEL}/absent")


def test_what_was_uploaded_is_not_downloaded(store: ObjectStore, copies: LocalCopies) -> None:
    made = copies.work / "7"
    (made / "variables").mkdir(parents=True)
    for address, content in CONTENT.items():
        if address.startswith(MODEL):
            (made / address.removeprefix(f"{MODEL}/")).write_bytes(content)
    node = made.stat().st_ino
    copies.keep(MODEL, str(made))
    assert Path(copies.of(MODEL)).stat().st_ino == node


def test_a_place_is_moved_there_and_back_and_removed(store: ObjectStore) -> None:
    aside = f"s3://{BUCKET}/root/.quarantine/Trainer/model/7"
    now = time.time()
    assert files.size(MODEL) == 12 and all(abs(t - now) < 3600 for t in files.times(MODEL))
    assert files.move(MODEL, aside)
    assert not files.exists(MODEL) and files.exists(aside) and files.exists(f"{MODEL}1")
    assert not files.move(MODEL, aside)  # once is enough
    assert files.move(aside, MODEL) and files.size(MODEL) == 12
    assert files.names(f"s3://{BUCKET}/root/Trainer/model") == ["7", "71"]
    assert files.names(f"s3://{BUCKET}/absent") == []
    files.remove_quarantined(MODEL)
    files.remove_quarantined(MODEL)
    assert not files.exists(MODEL) and files.exists(f"{MODEL}1")


def test_a_value_is_moved_as_the_file_that_it_is(store: ObjectStore) -> None:
    assert files.move(VALUE, f"s3://{BUCKET}/aside/value")
    assert driver.of(VALUE).cat_file(f"s3://{BUCKET}/aside/value") == b"a value"
    assert not files.exists(VALUE)


def test_what_a_killed_try_has_moved_in_part_is_moved_on(store: ObjectStore) -> None:
    aside = f"s3://{BUCKET}/root/.quarantine/Trainer/model/7"
    there = driver.of(MODEL)
    there.copy(f"{MODEL}/saved_model.pb", f"{aside}/saved_model.pb")  # killed while it copied
    assert files.move(MODEL, aside) and _sizes(driver.files(aside)) == {
        "saved_model.pb": 5,
        "variables/data": 7,
    }
    there.copy(f"{aside}/variables/data", f"{MODEL}/variables/data")  # killed while it removed
    assert files.move(MODEL, aside) and not files.exists(MODEL) and files.size(aside) == 12


def test_a_server_that_is_away_is_told_and_does_not_count_as_nothing(
    store: ObjectStore, copies: LocalCopies, capsys: pytest.CaptureFixture[str]
) -> None:
    store.go_away()
    try:
        started = time.monotonic()
        for ask in (driver.files, copies.of, files.exists, files.names, files.remove):
            with pytest.raises(ObjectStoreError) as caught:
                ask(MODEL)
            assert f"{MODEL!r} cannot be used" in str(caught.value) and "run the task again" in str(
                caught.value
            )
            assert SECRET not in str(caught.value)
        assert time.monotonic() - started < 60
    finally:
        store.come_back()
    assert files.exists(MODEL)


def test_an_account_that_may_not_read_is_sent_to_its_connection() -> None:
    # moto asks nobody for a password; this is what s3fs raises.
    with pytest.raises(ObjectStoreError, match="check the Connection that .* object_store_conn_id names"):
        with driver.answered(MODEL):
            raise PermissionError("Forbidden")
