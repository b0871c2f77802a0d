"""Carrying out a plan: in order, again after any interruption, and never what is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from include.tfx_airflow.contract.errors import RetentionError
from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.mlmd.metadata_store import MetadataStore
from include.tfx_airflow.tfx_side.mlmd.reader import Reader
from include.tfx_airflow.tfx_side.retention import files, marks, plan, survey
from include.tfx_airflow.tfx_side.retention.carry_out import Done, Retention
from include.tfx_airflow.tfx_side.retention.roots import DAY
from tests.tfx.retention.lineage import NOW, Lineage, expected, is_whole

pytestmark = pytest.mark.slow

KEEP = Keep(runs=1, days=0, pushed=1, blessed=1)
_LIVE, _MARKED, _DELETED = pb.Artifact.LIVE, pb.Artifact.MARKED_FOR_DELETION, pb.Artifact.DELETED
Again = Callable[[], Lineage]


def make(lineage: Lineage, keep: Keep = KEEP) -> plan.Plan:
    return plan.make(lineage.address, [lineage.home], lineage.home, keep, NOW)


def carry_out(lineage: Lineage, made: plan.Plan, days: float = 0) -> Done:
    keep = Keep(**made.keep)
    return Retention(lineage.address, [lineage.home], lineage.home, keep, NOW + days * DAY).carry_out(made)


def states(lineage: Lineage) -> dict[int, int]:
    with mlmd_store.open_store(lineage.address) as store:
        return {artifact.id: artifact.state for artifact in store.get_artifacts()}


def files_in(folder: str) -> list[str]:
    return sorted(
        str(path) for path in Path(folder).rglob("*") if path.is_file() and "/mlmd/" not in str(path)
    )


def check(lineage: Lineage, goes: set[int], state: int) -> None:
    """MLMD and disk agree: what goes is in that state and not at its place, all else is whole."""
    found = states(lineage)
    for id_, artifact in lineage.artifacts.items():
        if id_ in goes:
            assert found[id_] == state and not os.path.lexists(artifact.uri), artifact
        else:
            assert found[id_] == _LIVE and is_whole(artifact.uri), artifact


def test_files_are_set_aside_first_and_deleted_after_the_grace_time(again: Again) -> None:
    lineage = again()
    before = files_in(lineage.home)
    made = make(lineage)
    assert files_in(lineage.home) == before, "a plan changes nothing"
    _, goes = expected(lineage, KEEP)
    assert carry_out(lineage, made).deleted == 0
    check(lineage, goes, _MARKED)
    assert len(files_in(lineage.home)) == len(before), "nothing is lost yet"
    assert carry_out(lineage, make(lineage), days=6.9).deleted == 0
    done = carry_out(lineage, make(lineage), days=7.1)
    assert done.deleted == len(goes) and not done.problems
    check(lineage, goes, _DELETED)
    assert not [path for path in files_in(lineage.home) if files.QUARANTINE in path]
    with mlmd_store.open_store(lineage.address) as store:
        for artifact in store.get_artifacts_by_id(sorted(goes)):
            assert (
                "nothing that is kept was made from it"
                in artifact.custom_properties["deleted_reason"].string_value
            )
            assert artifact.custom_properties["deleted_at"].int_value == int(NOW + 7.1 * DAY)
            assert artifact.uri == lineage.artifacts[artifact.id].uri, "rows stay"
    assert make(lineage).totals["artifacts"] == 0


def _kill_at(step: int) -> None:
    """Makes this process die before its n-th change of the store or the disk, or halfway through removing a folder."""
    left = [step]

    def dying(original: Any, partly: bool = False) -> Any:
        def act(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                if partly:
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(str(arguments[0]), "data"))
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        return act

    files.os.rename = dying(os.rename)  # type: ignore[attr-defined]
    files.os.rmdir = dying(os.rmdir)  # type: ignore[attr-defined]
    files.shutil.rmtree = dying(files.shutil.rmtree, partly=True)  # type: ignore[attr-defined]
    MetadataStore.put_artifacts = dying(MetadataStore.put_artifacts)


def _killed(act: Callable[[], None], step: int) -> bool:
    """Runs something in a process that is killed at a step; whether it was."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            _kill_at(step)
            act()
            os._exit(0)
        os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


@pytest.mark.parametrize("many", [20, pytest.param(200, marks=pytest.mark.long)])
def test_kills_lose_nothing_that_is_kept_and_the_next_run_finishes(
    again: Again, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr("include.tfx_airflow.tfx_side.retention.carry_out._BATCH", 3)
    chance, kills = random.Random(7), 0
    while kills < many:
        lineage = again()
        _, goes = expected(lineage, KEEP)
        kept = [a for a in lineage.artifacts.values() if a.id not in goes]
        made = make(lineage)
        for days in (0, 8):  # setting aside, deleting
            most = chance.randint(2, 60)
            while _killed(lambda: carry_out(lineage, made, days), chance.randint(1, most)):  # noqa: B023
                kills += 1
                most += 5
                assert all(is_whole(artifact.uri) for artifact in kept)
                found = states(lineage)
                assert all(found[artifact.id] == _LIVE for artifact in kept)
                for id_ in goes:  # the store never says that files are there that are not, nor the reverse
                    if not os.path.lexists(lineage.artifacts[id_].uri):
                        assert found[id_] in (_MARKED, _DELETED)
            carry_out(lineage, made, days)
            check(lineage, goes, _DELETED if days else _MARKED)
            made = make(lineage)
        assert not [path for path in files_in(lineage.home) if files.QUARANTINE in path]


@pytest.fixture
def one(empty: Lineage) -> Lineage:
    """Two runs; of the old one the model goes."""
    with empty:
        for number, day in ((1, 50), (2, 0.1)):
            [examples] = empty.execute(
                ("flow", f"run {number}"), "Gen", day, outputs=[("examples", "Examples", {})]
            )
            empty.execute(
                ("flow", f"run {number}"), "Trainer", day, [("examples", examples)], [("model", "Model", {})]
            )
    return empty


KEEP_ONE = Keep(runs=1, days=5)


def _used(lineage: Lineage, artifact: int, state: int = pb.Execution.COMPLETE) -> None:
    with mlmd_store.open_store(lineage.address) as store:
        kind = store.put_execution_type(pb.ExecutionType(name="Late"))
        [id_] = store.put_executions([pb.Execution(type_id=kind, last_known_state=state)])
        store.put_events([pb.Event(artifact_id=artifact, execution_id=id_, type=pb.Event.INPUT)])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda store: _used(store, 2), "artifact 2 is now kept because it was made or used less than 5 days ago"),
        (lambda store: _used(store, 2, pb.Execution.RUNNING), "artifact 1 is now kept because artifact 2 was made from it"),
        (lambda store: marks.pin(store.address, [2], True), "artifact 2 is now kept because it is pinned"),
        (lambda store: _set(store, "uri", f"{store.home}/elsewhere"), "artifact 2 now has the URI"),
        (lambda store: _set(store, "state", _DELETED), "artifact 2 is now kept because its state is 4"),
    ],
    ids=["used", "running", "pinned", "moved", "deleted by others"],
)  # fmt: skip
def test_plan_that_no_longer_holds_is_refused_by_name(
    one: Lineage, change: Callable[[Lineage], None], why: str
) -> None:
    made = make(one, KEEP_ONE)
    assert [found["id"] for found in made.artifacts] == [1, 2]
    change(one)
    with pytest.raises(RetentionError, match=f"plan {made.hash} no longer holds: .*{why}"):
        carry_out(one, made)
    assert files_in(one.home) == sorted(f"{artifact.uri}/data" for artifact in one.artifacts.values())
    assert states(one)[1] == _LIVE


def _set(lineage: Lineage, column: str, value: Any, artifact: int = 2) -> None:
    with sqlite3.connect(lineage.address["path"]) as connection:
        connection.execute(f"update Artifact set {column} = ? where id = ?", (value, artifact))
    connection.close()


def test_what_begins_to_be_used_while_it_is_marked_is_kept(
    one: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(one, KEEP_ONE)
    mark = marks.mark

    def late(*arguments: Any) -> None:  # after the first batch, before the files move: what a server allows
        mark(*arguments)
        _used_unlocked(one, 2)

    monkeypatch.setattr(marks, "mark", late)
    carry_out(one, made)
    assert set(states(one).values()) == {_LIVE} and all(is_whole(a.uri) for a in one.artifacts.values())


def _used_unlocked(lineage: Lineage, artifact: int) -> None:
    with mlmd_store.StoreLock({"kind": "sqlite", "path": f"{lineage.home}/none"}):
        store = mlmd_store.connect(lineage.address)
        kind = store.put_execution_type(pb.ExecutionType(name="Late"))
        [id_] = store.put_executions([pb.Execution(type_id=kind, last_known_state=pb.Execution.RUNNING)])
        store.put_events([pb.Event(artifact_id=artifact, execution_id=id_, type=pb.Event.INPUT)])


def test_plan_that_was_edited_or_is_of_another_store_is_refused(one: Lineage, tmp_path: Path) -> None:
    made = make(one, KEEP_ONE)
    path = Path(made.write(str(tmp_path)))
    assert plan.read(str(tmp_path), made.hash) == made
    path.write_text(path.read_text().replace("/model/", "/examples/"))
    with pytest.raises(RetentionError, match="was changed after it was made"):
        plan.read(str(tmp_path), made.hash)
    with pytest.raises(RetentionError, match="no plan '../../x'"):
        plan.read(str(tmp_path), "../../x")
    with pytest.raises(RetentionError, match="is of sqlite:///elsewhere with roots"):
        carry_out(one, dataclasses.replace(made, store="sqlite:///elsewhere"))


def test_restored_artifact_is_back_whole_pinned_and_kept(one: Lineage) -> None:
    carry_out(one, make(one, KEEP_ONE))
    retention = Retention(one.address, [one.home], one.home, KEEP_ONE, NOW)
    retention.restore(2)
    assert is_whole(one.artifacts[2].uri) and states(one)[2] == _LIVE
    with pytest.raises(RetentionError, match="artifact 2 is not set aside"):
        retention.restore(2)
    # What it was made from is needed again, and comes back by itself.
    assert carry_out(one, make(one, KEEP_ONE), days=8).restored == 1
    check(one, set(), _DELETED)
    with mlmd_store.open_store(one.address) as store:
        for artifact in store.get_artifacts_by_id([1, 2]):
            assert set(artifact.custom_properties) <= {"pinned"}
    marks.pin(one.address, [2], False)
    carry_out(one, make(one, KEEP_ONE))
    check(one, {1, 2}, _MARKED)
    with pytest.raises(RetentionError, match="bring it back with 'gc --restore 2'"):
        marks.pin(one.address, [2], True)


def test_files_that_are_gone_already_are_no_problem(one: Lineage) -> None:
    files.remove(one.artifacts[1].uri)
    made = make(one, KEEP_ONE)
    files.remove(one.artifacts[2].uri)
    assert not carry_out(one, made).problems
    done = carry_out(one, make(one, KEEP_ONE), days=8)
    assert not done.problems and done.deleted == 2
    check(one, {1, 2}, _DELETED)


def test_quarantine_that_is_gone_cannot_be_restored_and_says_so(one: Lineage) -> None:
    carry_out(one, make(one, KEEP_ONE))
    files.remove(f"{one.home}/pipelines/flow/{files.QUARANTINE}")
    with pytest.raises(RetentionError, match="the files of artifact 2 are gone"):
        Retention(one.address, [one.home], one.home, KEEP_ONE, NOW).restore(2)


def test_property_that_names_another_folder_deletes_nothing(one: Lineage) -> None:
    carry_out(one, make(one, KEEP_ONE))
    precious = f"{one.home}/pipelines/flow/{files.QUARANTINE}/precious"
    os.makedirs(precious)
    with sqlite3.connect(one.address["path"]) as connection:
        connection.execute(
            "update ArtifactProperty set string_value = ? where name = 'deletion_place' and artifact_id = 2",
            (precious,),
        )
    connection.close()
    made = make(one, KEEP_ONE)
    assert any("is no place in quarantine" in reason for reason in made.left_alone)
    carry_out(one, made, days=8)
    assert os.path.isdir(precious) and states(one)[2] == _MARKED and states(one)[1] == _DELETED


@pytest.mark.parametrize(
    ("run", "state", "expected"),
    [
        ("run 1", pb.Execution.RUNNING, True),  # its task was cleared
        ("run 1", pb.Execution.COMPLETE, True),
        ("run 2", pb.Execution.RUNNING, False),  # kept anyway
        ("run 3", pb.Execution.RUNNING, False),
    ],
)
def test_survey_is_made_anew_only_when_something_loose_may_be_needed(
    one: Lineage, run: str, state: int, expected: bool
) -> None:
    found = survey.survey(one.address, [one.home], KEEP_ONE, NOW)
    with mlmd_store.open_store(one.address) as store:
        types = {name: store.get_context_type(name).id for name in ("pipeline", "pipeline_run", "node")}
        names = {"pipeline": "flow", "pipeline_run": run, "node": "flow.Gen"}
        execution = pb.Execution(type_id=store.get_execution_type("Gen").id, last_known_state=state)
        contexts = [pb.Context(type_id=types[kind], name=name) for kind, name in names.items()]
        store.put_execution(execution, [], contexts, reuse_context_if_already_exist=True)
    with Reader(one.address) as reader:
        assert found.changed(reader) is expected
