"""What is asserted of a real MLMD store, in the TFX interpreter: `python -m tests.mlmd_checks`.

It imports TFX once, and does each check in a fork. Each line of standard input is JSON: the name of a `check`, the
`address` of a store, and a file for what it says; answered by a line with the exit code.
`tests/airflow/test_mlmd_servers.py` runs all of it, on servers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.contract.errors import MlmdError, MlmdSchemaError

_RUNS, _OUTPUTS = 6, 5


def init(address: dict[str, Any]) -> None:
    """Makes the schema of an empty store, as before each of these checks."""


def order(address: dict[str, Any]) -> None:
    """Fills an empty store, and asserts the order of what it answers."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd_pb2

    from include.tfx_airflow.tfx_side.mlmd import mlmd_store

    with mlmd_store.open_store(address) as store:
        _check_order(store, mlmd_pb2)


def _check_order(store: Any, mlmd_pb2: Any) -> None:
    kinds = [store.put_artifact_type(mlmd_pb2.ArtifactType(name=f"Kind{number}")) for number in range(3)]
    execution_kind = store.put_execution_type(mlmd_pb2.ExecutionType(name="Gen"))
    context_kind = store.put_context_type(mlmd_pb2.ContextType(name="run"))
    contexts = [mlmd_pb2.Context(type_id=context_kind, name=f"run{number}") for number in range(3)]
    for context, id_ in zip(contexts, store.put_contexts(contexts), strict=True):
        context.id = id_
    executions, artifacts = [], []
    for _ in range(_RUNS):
        pairs = []
        for place in range(_OUTPUTS):
            artifact = mlmd_pb2.Artifact(
                type_id=kinds[place % 3], uri=f"/{place}", state=mlmd_pb2.Artifact.LIVE
            )
            artifact.custom_properties["name"].string_value = "text"
            artifact.custom_properties["span"].int_value = place
            event = mlmd_pb2.Event(type=mlmd_pb2.Event.OUTPUT)
            event.path.steps.add().key = "output"
            event.path.steps.add().index = _OUTPUTS - place  # the later, the nearer to the front
            pairs.append((artifact, event))
        execution = mlmd_pb2.Execution(type_id=execution_kind, last_known_state=mlmd_pb2.Execution.COMPLETE)
        execution.custom_properties["text"].string_value = "text"
        id_, ids, _ = store.put_execution(execution, pairs, contexts, reuse_context_if_already_exist=True)
        executions.append(id_)
        artifacts.append(ids)
    flat = [id_ for ids in artifacts for id_ in ids]

    for ask, ids in (
        (store.get_artifacts_by_id, [flat[7], flat[3], flat[7], flat[20], flat[1]]),
        (store.get_executions_by_id, [executions[4], executions[2], executions[4], executions[0]]),
        (store.get_contexts_by_id, [contexts[2].id, contexts[0].id, contexts[2].id, contexts[1].id]),
        (store.get_artifact_types_by_id, [kinds[2], kinds[0], kinds[2], kinds[1]]),
    ):
        assert [found.id for found in ask(ids)] == ids, ask
        assert [found.id for found in ask([*ids, 10**6])] == ids, "what is not there is left out"
    found, found_kinds = store.get_artifacts_and_types_by_artifact_ids(flat[::-1])
    assert [artifact.id for artifact in found] == flat[::-1]
    assert sorted(kind.id for kind in found_kinds) == [kind.id for kind in found_kinds]

    asked = [executions[3], executions[1]]
    events = [(e.execution_id, e.artifact_id) for e in store.get_events_by_execution_ids(asked)]
    assert events == [(executions[run], id_) for run in (1, 3) for id_ in reversed(artifacts[run])]
    asked = [artifacts[2][0], artifacts[0][1], artifacts[2][4]]
    events = [(e.execution_id, e.artifact_id) for e in store.get_events_by_artifact_ids(asked)]
    ordered = ((0, artifacts[0][1]), (2, artifacts[2][4]), (2, artifacts[2][0]))
    assert events == [(executions[run], id_) for run, id_ in ordered]

    for answer, ids in (
        (store.get_artifacts_by_context(contexts[1].id), flat),
        (
            store.get_artifacts_by_type("Kind1"),
            [id_ for place, id_ in enumerate(flat) if place % 5 in (1, 4)],
        ),
        (store.get_artifacts_by_uri("/3"), [ids[3] for ids in artifacts]),
        (store.get_executions_by_type("Gen"), executions),
        (store.get_contexts_by_type("run"), [context.id for context in contexts]),
        (store.get_contexts_by_execution(executions[2]), [context.id for context in contexts]),
        (store.get_contexts_by_artifact(flat[9]), [context.id for context in contexts]),
        (store.get_artifacts(), flat),
    ):
        assert [found.id for found in answer] == ids
    # TFX asks for the newest first here.
    assert {e.id for e in store.get_executions_by_context(contexts[0].id)} == set(executions)


_HOLDER = """
import json, sys, time
from include.tfx_airflow.tfx_side.mlmd.database import Server
address, name = json.load(sys.stdin)
with Server(address) as server:
    server.wait_for_lock(name, 1)
    print("holds", flush=True)
    time.sleep(60)
"""


def _hold(address: dict[str, Any], name: str) -> subprocess.Popen[str]:
    """A process that has a lock."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin and holder.stdout
    holder.stdin.write(json.dumps([address, name]))
    holder.stdin.close()
    assert holder.stdout.readline() == "holds\n"
    return holder


def type_lock(address: dict[str, Any]) -> None:
    """While another program registers types for too long nobody else does; its death lets the next one in."""
    from include.tfx_airflow.tfx_side.mlmd import schema

    schema.LOCK_SECONDS = 1.0
    holder = _hold(address, "types")
    try:
        with pytest.raises(MlmdError, match="held the lock 'types' for 1 s; nothing was written") as caught:
            with schema.checked(address):
                raise AssertionError("let in")
        assert not isinstance(caught.value, MlmdSchemaError), "a retry may help"
        assert address["password"] not in str(caught.value)
    finally:
        holder.kill()
        holder.wait()
    schema.LOCK_SECONDS = 10.0
    with schema.checked(address):
        pass
    with pytest.raises(MlmdError, match="the connection that held the lock on its types was lost"):
        with schema.checked(address):
            _end_holder(address, "types")


def node_lock(address: dict[str, Any]) -> None:
    """Attempts at one node wait for one another, those at other nodes and in other runs do not."""
    from include.tfx_airflow.tfx_side.mlmd import lock, mlmd_store

    lock._NODE_SECONDS = 1.0
    holder = _hold(address, "flow:first:Train:-1")
    try:
        for other in (
            "flow:first:Push:-1",
            "flow:second:Train:-1",
            "flow:first:Train:0",
            "flow:first:eu.Train:-1",
        ):
            with mlmd_store.open_store(address, other):
                pass
        held = lock.StoreLock(address, "flow:first:Train:-1")
        for _ in range(2):  # what could not be taken is not held
            with pytest.raises(MlmdError, match="another program has held the lock"), held:
                raise AssertionError("let in")
    finally:
        holder.kill()
        holder.wait()
    lock._NODE_SECONDS = 10.0
    with held, held:
        assert held.is_held()
        _end_holder(address, "flow:first:Train:-1")
        assert not held.is_held()


def idle_lock(address: dict[str, Any]) -> None:
    """A server that ends idle connections does not end the one that has a lock."""
    from include.tfx_airflow.tfx_side.mlmd.database import Server

    limits = ("idle_in_transaction_session_timeout", "transaction_timeout")
    if address["kind"] == "postgresql":
        for name in limits:
            _run(address, f"alter role {address['user']} set {name} = 1000")
    try:
        with Server(address) as server:
            server.wait_for_lock("types", 1)
            if address["kind"] == "mysql":
                assert server.rows("select @@session.wait_timeout") == [(28800,)]
            else:
                assert server.rows("select current_setting('transaction_timeout')") == [["0"]]
                time.sleep(3)
            assert server.has_lock()
    finally:
        if address["kind"] == "postgresql":
            for name in limits:
                _run(address, f"alter role {address['user']} reset {name}")


def in_flight(address: dict[str, Any]) -> None:
    """What a dying process has already sent to the server is waited for, and is then not marked."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd_pb2

    from include.tfx_airflow.tfx_side.mlmd import mlmd_store
    from include.tfx_airflow.tfx_side.mlmd.database import Server

    execution = mlmd_pb2.Execution
    with mlmd_store.open_store(address) as store, Server(address) as publisher:
        kind = store.put_execution_type(mlmd_pb2.ExecutionType(name="Dying"))
        for state in (execution.COMPLETE, execution.RUNNING):
            [id_] = store.put_executions([execution(type_id=kind, last_known_state=execution.RUNNING)])
            publisher._run("update Execution set last_known_state = %s where id = %s", (state, id_))
            marked: list[list[int]] = []
            marking = threading.Thread(target=lambda: marked.append(store.fail_executions([id_], "killed")))  # noqa: B023
            marking.start()
            marking.join(1)
            assert marking.is_alive(), "it waits"
            publisher._connection.commit()
            marking.join(30)
            [found] = store.get_executions_by_id([id_])
            if state == execution.COMPLETE:
                assert (marked, found.last_known_state) == ([[]], execution.COMPLETE)
            else:
                assert (marked, found.last_known_state) == ([[id_]], execution.FAILED)
                assert found.custom_properties["failure"].string_value == "killed"


def lost_lock(address: dict[str, Any]) -> None:
    """A lock that is lost in the middle of a publish: the result stays, unless a later attempt has begun."""
    from include.tfx_airflow.contract.node import NodeRequest
    from include.tfx_airflow.tfx_side.mlmd import mlmd_store
    from include.tfx_airflow.tfx_side.node import launch, node
    from include.tfx_airflow.tfx_side.pipeline import ir
    from tests.pipelines import small

    with tempfile.TemporaryDirectory() as folder:
        roots = {"BUNDLE_ROOT": f"{folder}/b", "TFX_AIRFLOW_HOME": f"{folder}/h", "TFX_PREFIX": sys.prefix}
        pipeline = small.write_and_read(name="lost_lock")
        path = Path(folder, "pipeline.json")
        path.write_text(ir.compile_pipeline(pipeline, "m:f", "", roots, {})[1])

        def request(run: str, try_number: int) -> NodeRequest:
            task = {"dag_id": "flow", "run_id": run, "task_id": "Write", "map_index": -1}
            task |= {"try_number": try_number, "first_try": 1, "key": f"{run}:Write:{try_number}"}
            return NodeRequest(str(path), "Write", f"flow:{run}", task, {}, address, roots)

        publish = launch.launcher.Launcher._publish_successful_execution
        later: list[Any] = []

        def lose(run: str, *arguments: Any) -> None:
            launch.launcher.Launcher._publish_successful_execution = publish
            _end_holder(address, f"flow:{run}:Write:-1")
            if run == "overtaken":
                later.append(node.run(request(run, 2)))
            publish(*arguments)

        for run in ("alone", "overtaken"):
            launch.launcher.Launcher._publish_successful_execution = lambda *a, run=run: lose(run, *a)
            if run == "alone":
                assert node.run(request(run, 1)).state == "executed"
                # So that the other run executes as well.
                _run(address, "update Artifact set state = 4")
                continue
            with pytest.raises(
                RuntimeError, match="a later attempt has taken over: execution .* was withdrawn"
            ):
                node.run(request(run, 1))
        assert [result.state for result in later] == ["executed"]
        with mlmd_store.open_store(address) as store:
            (alone,) = mlmd_store.tries_of(store, request("alone", 1).task)
            first, second = mlmd_store.tries_of(store, request("overtaken", 1).task)
            states = [e.last_known_state for e in (alone, first, second)]
            assert states == [alone.COMPLETE, alone.FAILED, alone.COMPLETE], states
            for execution, state in ((first, 5), (second, 2)):  # abandoned, live
                events = [e for e in store.get_events_by_execution_ids([execution.id]) if e.type == e.OUTPUT]
                found = store.get_artifacts_by_id([event.artifact_id for event in events])
                assert [artifact.state for artifact in found] == [state] * 2


def resolution(address: dict[str, Any]) -> None:
    """Asserts that Resolvers find on a server what TFX's own resolution finds there, in a random history."""
    from tests.tfx import random_history

    found = random_history.check(address, seed=7, runs=40)
    assert len(found) > 10, found


def retention(address: dict[str, Any]) -> None:
    """Retention on a server: what an execution uses at the last moment is kept; the rest is set aside, deleted, and told."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd_pb2

    from include.tfx_airflow.tfx_side.mlmd import mlmd_store
    from include.tfx_airflow.tfx_side.retention import carry_out, plan, roots

    carry_out.SETTLE_SECONDS = 0.1
    states, names = mlmd_pb2.Artifact, ("old", "used", "new")
    with tempfile.TemporaryDirectory() as folder:
        home = f"{folder}/h\u00f6me"
        with mlmd_store.open_store(address) as store:
            kind = store.put_artifact_type(mlmd_pb2.ArtifactType(name="Examples"))
            gen = store.put_execution_type(mlmd_pb2.ExecutionType(name="Gen"))
            types = [
                store.put_context_type(mlmd_pb2.ContextType(name=name))
                for name in ("pipeline", "pipeline_run", "node")
            ]
            uris = []
            for name in names:
                [id_] = store.put_executions([mlmd_pb2.Execution(type_id=gen, last_known_state=3)])
                uris.append(f"{home}/pipelines/flow/Gen/examples/{id_}")
                os.makedirs(uris[-1])
                artifact = mlmd_pb2.Artifact(type_id=kind, uri=uris[-1], state=states.LIVE)
                of = zip(types, ("flow", f"run {name}", "flow.Gen"), strict=True)
                contexts = [mlmd_pb2.Context(type_id=type_, name=title) for type_, title in of]
                execution = mlmd_pb2.Execution(id=id_, type_id=gen, last_known_state=3)
                event = mlmd_pb2.Event(type=mlmd_pb2.Event.OUTPUT)
                store.put_execution(
                    execution, [(artifact, event)], contexts, reuse_context_if_already_exist=True
                )
        keep, now = roots.Keep(runs=1, days=1), time.time() + 40 * roots.DAY
        made = plan.make(address, [home], home, keep, now)
        assert [one["uri"] for one in made.artifacts] == uris[:2], made
        ids = [one["id"] for one in made.artifacts]
        mark = carry_out.marks.mark

        def late(store: Any, *arguments: Any) -> None:
            [id_] = store.put_executions([mlmd_pb2.Execution(type_id=gen, last_known_state=2)])
            store.put_events(
                [mlmd_pb2.Event(artifact_id=ids[1], execution_id=id_, type=mlmd_pb2.Event.INPUT)]
            )
            mark(store, *arguments)

        carry_out.marks.mark = late
        done = carry_out.Retention(address, [home], home, keep, now).carry_out(made)
        carry_out.marks.mark = mark
        assert (done.set_aside, done.problems) == (1, []), done
        assert [os.path.exists(uri) for uri in uris] == [False, True, True]
        later = now + 8 * roots.DAY
        again = plan.make(address, [home], home, keep, later)
        assert carry_out.Retention(address, [home], home, keep, later).carry_out(again).deleted == 1
        with mlmd_store.open_store(address) as store:
            found = store.get_artifacts_by_id([*ids, ids[1] + 1])
            assert [artifact.state for artifact in found] == [states.DELETED, states.LIVE, states.LIVE]
            assert found[0].custom_properties["deleted_at"].int_value == int(later)
            assert found[0].uri == uris[0] and not os.path.exists(f"{home}/pipelines/flow/.quarantine")


def _run(address: dict[str, Any], sql: str) -> None:
    from include.tfx_airflow.tfx_side.mlmd.database import Server

    with Server(address) as server:
        server._run(sql)
        server._connection.commit()


def _end_holder(address: dict[str, Any], name: str) -> None:
    """Ends the connection that has a lock, as an administrator does, or a server that is short of memory."""
    from include.tfx_airflow.tfx_side.mlmd.database import Server

    with Server(address) as server:
        assert not server._take_lock(name)
        if address["kind"] == "postgresql":
            server.rows("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
        else:
            [[holder]] = server._rows("select is_used_lock(%s)", (server._lock,))
            server._run(f"kill {holder}")


def _serve() -> None:
    from tfx.orchestration.portable import launcher  # noqa: F401 - so that a fork need not

    from include.tfx_airflow.tfx_side.mlmd import setup

    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if not pid:
            said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT)
            os.dup2(said, 1)
            os.dup2(said, 2)
            setup.init(asked["address"])
            globals()[asked["check"]](asked["address"])
            return
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _serve()
