"""What retention never touches: what is outside the roots, behind links, shared, imported, or too new to be an orphan."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.contract.node import NodeRequest
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import node
from include.tfx_airflow.tfx_side.retention import marks, plan
from include.tfx_airflow.tfx_side.retention.carry_out import Retention
from include.tfx_airflow.tfx_side.retention.roots import DAY
from tests.pipelines import small
from tests.tfx.retention.lineage import NOW, Lineage, is_whole, write

KEEP = Keep(runs=1, days=5)
OLD, NEW = ("flow", "run 1"), ("flow", "run 2")


def make(lineage: Lineage, roots: list[str] | None = None) -> plan.Plan:
    return plan.make(lineage.address, roots or [lineage.home], lineage.home, KEEP, NOW)


def carry_out(lineage: Lineage, made: plan.Plan, days: float = 0) -> None:
    done = Retention(lineage.address, made.roots, lineage.home, KEEP, NOW + days * DAY).carry_out(made)
    assert not done.problems


def newest(lineage: Lineage) -> None:
    """A newer run, so that the others are not kept as the newest."""
    lineage.execute(NEW, "Gen", 0.1, outputs=[("examples", "Examples", {})])


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("/elsewhere/{node}/{key}/{id}", "it is outside of the roots of the settings"),
        ("{root}/../../../outside/{node}/{key}/{id}", "it is outside of the roots of the settings"),
        ("{root}/{node}/{key}/9{id}", "its URI is not where TFX puts the output"),
        ("{root}/Other/{key}/{id}", "its URI is not where TFX puts the output"),
        ("{root}", "its URI is not where TFX puts the output"),
        ("hdfs://host/{node}/{key}/{id}", "hdfs:// is not supported"),
        ("s3://bucket/{node}/{key}/{id}", "it is outside of the roots of the settings"),
        ("s3://bucket/root/../other/{node}/{key}/{id}", "it is outside of the roots of the settings"),
        ("projects/p/models/{id}", "its URI is not a path"),
    ],
)
def test_what_tfx_has_not_laid_out_below_a_root_is_left_alone(
    empty: Lineage, monkeypatch: pytest.MonkeyPatch, uri: str, why: str
) -> None:
    monkeypatch.setattr("tests.tfx.retention.lineage.write", lambda path: None)
    with empty:
        empty.execute(OLD, "Gen", 50, outputs=[("examples", "Examples", {})], uri=uri)
        newest(empty)
    made = make(empty)
    assert made.artifacts == [] and [reason for reason in made.left_alone if why in reason], made.left_alone


def test_imported_artifact_is_left_alone_wherever_it_lies(empty: Lineage) -> None:
    with empty:
        empty.execute(OLD, "Importer", 50, outputs=[("result", "Schema", {"is_external": 1})])
        newest(empty)
    made = make(empty)
    assert made.artifacts == [] and made.left_alone == {"it was imported": 1}


@pytest.mark.parametrize(
    "kept", ["{old}", "{old}/part", "{old}/..", "{old}/../../..", "file://{old}", "{link}/part"]
)
def test_files_that_something_kept_shares_stay(empty: Lineage, tmp_path: Path, kept: str) -> None:
    with empty:
        [id_] = empty.execute(OLD, "Gen", 50, outputs=[("examples", "Examples", {})])
        old = empty.artifacts[id_].uri
        (tmp_path / "link").symlink_to(old)
        uri = kept.format(old=old, link=tmp_path / "link")
        uri = uri if "://" in uri else os.path.normpath(uri)
        other = pb.Artifact(uri=uri, state=pb.Artifact.LIVE, type_id=empty._type("artifact", "Schema"))
        assert empty._store
        [other_id] = empty._store.put_artifacts([other])
        newest(empty)
    made = make(empty)
    assert made.artifacts == [] and made.left_alone == {f"its files are those of artifact {other_id}, too": 1}
    carry_out(empty, made)
    assert is_whole(old)


def test_links_are_not_followed(empty: Lineage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    with empty:
        [linked] = empty.execute(OLD, "Gen", 50, outputs=[("examples", "Examples", {})])
        [below] = empty.execute(OLD, "Split", 50, outputs=[("examples", "Examples", {})])
        [holds] = empty.execute(OLD, "Copy", 50, outputs=[("examples", "Examples", {})])
        newest(empty)
    for id_, moved in ((linked, "linked"), (below, "below")):
        uri = Path(empty.artifacts[id_].uri)
        path = uri if id_ == linked else uri.parent.parent
        outside.mkdir(exist_ok=True)
        shutil.move(path, outside / moved)
        path.symlink_to(outside / moved)
    write(str(outside / "precious"))
    Path(empty.artifacts[holds].uri, "link").symlink_to(outside / "precious")
    made = make(empty)
    assert [one["id"] for one in made.artifacts] == [holds]
    assert made.left_alone == {"a symbolic link leads there": 2}
    carry_out(empty, made)
    carry_out(empty, make(empty), days=8)
    assert not os.path.lexists(empty.artifacts[holds].uri)
    assert is_whole(str(outside / "precious")) and is_whole(empty.artifacts[linked].uri)
    assert len([path for path in outside.rglob("data")]) == 3


def test_home_that_is_a_link_itself_works(empty: Lineage, tmp_path: Path) -> None:
    Path(empty.home).rename(tmp_path / "disk")
    Path(empty.home).symlink_to(tmp_path / "disk")
    with empty:
        [old] = empty.execute(OLD, "Gen", 50, outputs=[("examples", "Examples", {})])
        newest(empty)
    made = make(empty)
    assert [one["id"] for one in made.artifacts] == [old]
    carry_out(empty, made)
    assert not os.path.lexists(empty.artifacts[old].uri)


def test_value_goes_with_its_folder_and_comes_back(empty: Lineage) -> None:
    with empty:
        [old] = empty.execute(
            OLD, "Gen", 50, outputs=[("text", "String", {})], uri="{root}/{node}/{key}/{id}/value"
        )
        newest(empty)
    uri = Path(empty.artifacts[old].uri)
    carry_out(empty, make(empty))
    assert not uri.parent.exists() and uri.parent.parent.exists()
    Retention(empty.address, [empty.home], empty.home, KEEP, NOW).restore(old)
    assert is_whole(str(uri))


@pytest.mark.parametrize("file", ["", "/value"])
def test_output_that_is_named_like_its_node_goes(empty: Lineage, file: str) -> None:
    with empty:
        uri = "{root}/{node}/{key}/{id}" + file
        [old] = empty.execute(OLD, "model", 50, outputs=[("model", "Model", {})], uri=uri)
        newest(empty)
    made = make(empty)
    assert [one["id"] for one in made.artifacts] == [old] and made.left_alone == {}


def test_artifacts_with_one_folder_go_together_or_not_at_all(empty: Lineage) -> None:
    with empty:
        [outer] = empty.execute(OLD, "Gen", 50, outputs=[("examples", "Examples", {})])
        uri = empty.artifacts[outer].uri
        [same, inner] = (
            pb.Artifact(uri=path, state=pb.Artifact.LIVE, type_id=empty._type("artifact", "Examples"))
            for path in (uri, f"{uri}/part")
        )
        assert empty._store
        ids = empty._store.put_artifacts([same, inner])
        empty._store.put_events(
            [
                pb.Event(artifact_id=id_, execution_id=empty.executions[0].id, type=pb.Event.OUTPUT)
                for id_ in ids
            ]
        )
        newest(empty)
    import sqlite3

    with sqlite3.connect(empty.address["path"]) as connection:
        for column, table in (("create_time_since_epoch", "Artifact"), ("milliseconds_since_epoch", "Event")):
            connection.execute(
                f"update {table} set {column} = 1 where {column} > {int((NOW - DAY) * 1000)} and id in (2, 3)"
            )
    connection.close()
    made = make(empty)
    assert {one["id"] for one in made.artifacts} == {outer, *ids}
    assert made.totals["bytes"] == os.path.getsize(f"{uri}/data"), "counted once"
    marks.pin(empty.address, [ids[1]], True)
    assert make(empty).artifacts == []


def _orphan(empty: Lineage, *parts: str, days: float) -> Path:
    path = Path(empty.home, "pipelines", "flow", *parts)
    write(str(path))
    for each in (path / "data", path):
        os.utime(each, (NOW - days * DAY, NOW - days * DAY))
    return path


def test_orphans_wait_a_day_and_only_those_of_this_stores_failed_executions_go(empty: Lineage) -> None:
    failed = pb.Execution.FAILED
    with empty:
        for day, state in (
            (50, failed),
            (0.5, failed),
            (50, pb.Execution.COMPLETE),
            (50, failed),
            (50, failed),
        ):
            empty.execute((OLD[0], f"run of {day}"), "Gen", day, state=state)
        newest(empty)
    goes = [
        _orphan(empty, "Gen", "examples", "1", days=50),
        _orphan(empty, "Gen", ".system", "executor_execution", "1", days=50),
        _orphan(empty, "Gen", ".system", "executor_execution", "3", days=50),
    ]
    stays = [
        _orphan(empty, "Gen", "examples", "2", days=0.5),  # failed today
        _orphan(empty, "Gen", "examples", "3", days=50),  # was successful
        _orphan(empty, "Gen", "examples", "4", days=60),  # older than the execution: of another store
        _orphan(empty, "Gen", "examples", "5", days=0.5),  # somebody still writes there
        _orphan(empty, "Gen", "examples", "77", days=50),  # of an execution that the store does not know
        _orphan(empty, "Other", "examples", "1", days=50),
        _orphan(empty, "Gen", ".system", "stateful_working_dir", "1", days=50),
    ]
    made = make(empty)
    assert [one["path"] for one in made.orphans] == sorted(map(str, goes))
    carry_out(empty, made)
    assert not any(path.exists() for path in goes) and all(is_whole(str(path)) for path in stays)
    assert len(list(Path(empty.home).glob("pipelines/flow/.quarantine/.orphans/**/data"))) == 3
    carry_out(empty, make(empty), days=8)
    assert not list(Path(empty.home).glob("pipelines/flow/.quarantine/.orphans/*"))
    assert all(is_whole(str(path)) for path in stays)


def test_the_cache_does_not_serve_what_is_marked_or_deleted(
    make_request: Callable[..., NodeRequest], empty: Lineage, roots: dict[str, str]
) -> None:
    pipeline = small.write_and_read()
    first = node.run(make_request(pipeline, "Write", run="1"))
    assert node.run(make_request(pipeline, "Write", run="2")).state == "cached"
    [text] = first.outputs["text"]
    ids = [artifact["id"] for found in first.outputs.values() for artifact in found]
    later, keep = NOW + 90 * DAY, Keep(runs=1, days=1)
    for run, state, now in (
        ("3", "executed", later),
        ("4", "cached", later),
        ("5", "executed", later + 9 * DAY),
    ):
        if run != "4":
            _another_run(empty, f"newer than {run}")
            made = plan.make(empty.address, [empty.home], empty.home, keep, now)
            assert set(ids) <= {one["id"] for one in made.artifacts}
            assert not Retention(empty.address, [empty.home], empty.home, keep, now).carry_out(made).problems
        result = node.run(make_request(pipeline, "Write", run=run))
        assert result.state == state, run
        if state == "executed":
            ids = [artifact["id"] for found in result.outputs.values() for artifact in found]
    assert not Path(text["uri"]).exists()


def _another_run(lineage: Lineage, name: str) -> None:
    with mlmd_store.open_store(lineage.address) as store:
        types = {t: store.get_context_type(t).id for t in ("pipeline", "pipeline_run")}
        names = {"pipeline": "write_and_read", "pipeline_run": name}
        kind = store.put_execution_type(pb.ExecutionType(name="Other"))
        execution = pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE)
        contexts = [pb.Context(type_id=types[t], name=n) for t, n in names.items()]
        store.put_execution(execution, [], contexts, reuse_context_if_already_exist=True)
