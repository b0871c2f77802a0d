"""Which nodes work on copies; what a copy's name depends on; what is removed when, and what is not."""

from __future__ import annotations

import os
import threading
from concurrent import futures
from pathlib import Path

import pytest
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2

from include.tfx_airflow.contract.errors import ManifestError
from include.tfx_airflow.tfx_side.object_store import local_copies, staging
from include.tfx_airflow.tfx_side.object_store.local_copies import LocalCopies


def _spec(*arguments: str) -> executable_spec_pb2.BeamExecutableSpec:
    return executable_spec_pb2.BeamExecutableSpec(beam_pipeline_args=arguments)


def test_only_dataflow_works_on_addresses() -> None:
    assert not staging.reads_directly(None, "", "s3://bucket/x")
    assert not staging.reads_directly(_spec("--runner=FlinkRunner"), "", "s3://bucket/x")
    assert staging.reads_directly(_spec("--runner=DataflowRunner"), "", "gs://bucket/x")
    assert staging.reads_directly(_spec(), "dataflow", "gs://bucket/x")
    assert not staging.reads_directly(_spec(), "flink", "gs://bucket/x")
    with pytest.raises(ManifestError, match="'s3://bucket/x', and .* runs on Dataflow"):
        staging.reads_directly(_spec("--runner=DataflowRunner"), "", "s3://bucket/x")


def test_a_copy_is_of_one_address_and_one_content() -> None:
    info = {"size": 3, "ETag": '"1"'}
    same = local_copies._digest("s3://bucket/a/7", {"x": info})
    assert same == local_copies._digest("s3://bucket/a/7/", {"x": dict(info)})
    others = [
        local_copies._digest("s3://bucket/b/7", {"x": info}),
        local_copies._digest("s3://bucket/a/7", {"y": info}),
        local_copies._digest("s3://bucket/a/7", {"x": {**info, "ETag": '"2"'}}),
        local_copies._digest("s3://bucket/a/7", {"x": {**info, "size": 4}}),
    ]
    assert len({same, *others}) == 5


def _keep(copies: LocalCopies, digest: str, size: int) -> Path:
    folder = copies._copies / digest

    def make() -> None:
        folder.mkdir()
        (folder / "file").write_bytes(b"x" * size)

    copies._hold(digest, make)
    return folder


def test_a_copy_is_made_once_by_nodes_that_ask_for_it_together_and_none_waits_for_anothers_end(
    tmp_path: Path,
) -> None:
    several = [LocalCopies(str(tmp_path), 10**6) for _ in range(4)]
    with futures.ThreadPoolExecutor(len(several)) as threads:
        for number in range(100):
            ready = threading.Barrier(len(several))

            def hold(
                copies: LocalCopies, digest: str = f"{number}", ready: threading.Barrier = ready
            ) -> Path:
                ready.wait(10)
                return _keep(copies, digest, 1)

            found = list(threads.map(hold, several, timeout=30))  # a second one that makes it fails
            assert {path.exists() for path in found} == {True}
    for copies in several:
        copies.close()


def test_a_copy_that_could_not_be_made_is_made_by_the_next(tmp_path: Path) -> None:
    first, second = (LocalCopies(str(tmp_path), 1000) for _ in range(2))

    def fail() -> None:
        raise OSError("the store is away")

    with pytest.raises(OSError, match="is away"):
        first._hold("one", fail)
    assert _keep(second, "one", 1).exists()
    for copies in (first, second):
        copies.close()


def test_copies_that_were_not_used_for_long_go_and_those_in_use_stay(tmp_path: Path) -> None:
    with_all = LocalCopies(str(tmp_path), 1000)
    old, older = (_keep(with_all, name, 400) for name in ("old", "older"))
    with_all.close()
    os.utime(tmp_path / "copies/older.lock", (1, 1))
    os.utime(tmp_path / "copies/old.lock", (2, 2))
    using = LocalCopies(str(tmp_path), 1000)
    _keep(using, "older", 0)  # in use, and therefore not removed
    os.utime(tmp_path / "copies/older.lock", (1, 1))
    other = LocalCopies(str(tmp_path), 700)
    new = _keep(other, "new", 400)
    assert (old.exists(), older.exists(), new.exists()) == (False, True, True)
    using.close()
    other.close()


def test_what_a_dead_node_has_left_goes_with_the_next(tmp_path: Path) -> None:
    dead = LocalCopies(str(tmp_path), 1000)
    (dead.work / "half").write_text("")
    for file in dead._used.values():
        file.close()  # as the kernel does when a process ends
    alive = LocalCopies(str(tmp_path), 1000)
    (alive.work / "half").write_text("")
    third = LocalCopies(str(tmp_path), 1000)
    assert not dead.work.exists() and (alive.work / "half").exists()
    for one in (alive, third):
        one.close()
    assert list((tmp_path / "work").iterdir()) == []


def test_what_an_executor_says_of_its_outputs_has_addresses() -> None:
    output = execution_result_pb2.ExecutorOutput()
    made = output.output_artifacts["model"].artifacts.add(uri="/w/outputs/model/0/7")
    made.custom_properties["current"].string_value = "/w/outputs/model/0/7/Format-Serving"
    made.custom_properties["count"].int_value = 7
    output.execution_properties["note"].string_value = "from /c/abc/7"
    named = staging._names({"/w/outputs/model/0/7": "s3://bucket/model/7", "/c/abc/7": "s3://bucket/x/7"})
    staging._name_addresses(output, named)
    assert made.uri == "s3://bucket/model/7"
    assert made.custom_properties["current"].string_value == "s3://bucket/model/7/Format-Serving"
    assert made.custom_properties["count"].int_value == 7
    assert output.execution_properties["note"].string_value == "from s3://bucket/x/7"


def test_the_config_of_an_evaluation_has_addresses(tmp_path: Path) -> None:
    config = tmp_path / "evaluation" / "eval_config.json"
    config.parent.mkdir()
    config.write_text('{"modelLocations": {"candidate": "/c/abc/7/Format-Serving"}}')
    staging._name_addresses_in_files([str(tmp_path)], staging._names({"/c/abc/7": "s3://bucket/x/7"}))
    assert config.read_text() == '{"modelLocations": {"candidate": "s3://bucket/x/7/Format-Serving"}}'
