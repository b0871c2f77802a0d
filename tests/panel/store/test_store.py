"""What the panel reads by SQL is what ml_metadata reads, on SQLite, MariaDB and PostgreSQL."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mlmd_panel.errors import NotFound
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.filters import ArtifactFilter, ExecutionFilter, PropertyFilter, RunFilter
from mlmd_panel.store.records import Page, Property, Run, Task
from mlmd_panel.store.run_summaries import outputs, summary
from mlmd_panel.store.store import Store, run_state

from tests.panel import database_servers
from tests.panel.stores import url, written

_OLD = "2020-01-01T00:00:00+00:00"


@dataclasses.dataclass(frozen=True)
class _There:
    address: dict[str, Any]
    official: dict[str, Any]
    store: Store


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgresql"])
def there(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _There:
    """A store with one of everything, and what ml_metadata says of it."""
    if request.param == "sqlite":
        address = {"kind": "sqlite", "path": str(tmp_path_factory.mktemp("store") / "files" / "metadata.db")}
    else:
        address = database_servers.empty(request.param).address
    official = written(address, "local", "tasks", "everything", "old")
    return _There(address, official, Store(make_engine(url(address))))


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _properties(properties: tuple[Property, ...]) -> list[list[Any]]:
    return [[p.name, p.value, p.kind, p.custom] for p in properties]


def _expected(properties: list[list[Any]]) -> list[list[Any]]:
    """As ml_metadata gives them, with TFX's wrapping of JSON values taken away."""
    return [
        [
            name,
            value["__value__"] if kind == "struct" and list(value) == ["__value__"] else value,
            kind,
            custom,
        ]
        for name, value, kind, custom in properties
    ]


def test_every_artifact_is_as_ml_metadata_reads_it(there: _There) -> None:
    assert len(there.official["artifacts"]) == 12
    for id_, expected in there.official["artifacts"].items():
        found = there.store.artifact(int(id_), None)
        got = {
            "type": found.type,
            "name": found.name,
            "uri": found.uri,
            "state": found.state,
            "created": found.created,
            "updated": found.updated,
            "properties": _properties(found.properties),
        }
        assert _plain(got) == _plain({**expected, "properties": _expected(expected["properties"])})


def test_every_execution_is_as_ml_metadata_reads_it(there: _There) -> None:
    for id_, expected in there.official["executions"].items():
        found = there.store.execution(int(id_), None)
        assert (found.type, found.state, found.created, found.updated) == (
            expected["type"],
            expected["state"],
            expected["created"],
            expected["updated"],
        )
        assert _plain(_properties(found.properties)) == _plain(_expected(expected["properties"]))
        contexts = {kind: name for kind, name in expected["contexts"] if kind != "airflow_task_instance"}
        run = contexts.get("pipeline_run") or contexts.get("run") or contexts.get("other")
        assert (found.run.name if found.run else None) == run
        if found.run and "pipeline_run" in contexts:
            assert found.run.pipeline == contexts["pipeline"]
            assert f"{found.run.pipeline}.{found.node}" == contexts["node"]
        elif found.run and "run" in contexts:
            assert f"{found.run.name}.{found.node}" == contexts["component_run"]
        tries = [
            name.split(":")[-2] for kind, name in expected["contexts"] if kind == "airflow_task_instance"
        ]
        assert (str(found.task.try_number) if found.task else None) == max(tries, default=None)


def test_every_event_is_as_ml_metadata_reads_it(there: _There) -> None:
    by_execution, by_artifact = [], []
    for id_ in there.official["executions"]:
        by_execution += [event for event, _ in there.store.events_of_execution(int(id_), None)[0]]
    for id_ in there.official["artifacts"]:
        by_artifact += [event for event, _ in there.store.events_of_artifact(int(id_), None).rows]
    for events in (by_execution, by_artifact):
        got = [[e.execution_id, e.artifact_id, e.kind, e.key, e.index, e.time] for e in events]
        assert sorted(got) == there.official["events"]
    assert {e.kind for e in by_execution} == {
        "DECLARED_OUTPUT",
        "DECLARED_INPUT",
        "INPUT",
        "OUTPUT",
        "INTERNAL_INPUT",
        "INTERNAL_OUTPUT",
        "PENDING_OUTPUT",
    }


def test_runs_of_all_launchers_are_told_apart(there: _There) -> None:
    runs = {(run.pipeline, run.dag_id, run.run_id) for run in _all_runs(there.store)}
    assert runs == {
        # TFX's LocalDagRunner names a run by the time.
        ("alone", "alone", "2026-01-31T12:00:00.123456"),
        ("other", "other", "2026-01-31T12:00:01"),
        # This bundle's.
        ("p", "one", "a:b+c"),
        ("p", "two", "a:b+c"),
        ("p", "two", "second"),
        ("", "two", "waits"),
        ("pipe.line", "a_dag", "manual__1"),
        # Of another type than TFX's.
        ("", "", "pa\\rent"),
        # TFX's old launcher, with one pipeline's name at the beginning of the other's.
        ("old", "old", f"scheduled__{_OLD}"),
        ("old.er", "old.er", "manual"),
    }
    names = {name for kind, name in _contexts(there) if kind in ("run", "pipeline_run", "other")}
    assert {run.name for run in _all_runs(there.store)} == names | {"two:waits"}
    found = there.store.executions(ExecutionFilter(pipeline="old.er"), None).rows
    assert [execution.node for execution in found] == ["Trainer", "Gen.first"]


def _contexts(there: _There) -> set[tuple[str, str]]:
    return {(k, n) for e in there.official["executions"].values() for k, n in e["contexts"]}


def _all_runs(store: Store) -> tuple[Run, ...]:
    return store.runs(RunFilter(), None, limit=100).rows


def test_pipelines_say_their_dags_runs_and_newest_run(there: _There) -> None:
    found = {
        p.name: (p.dag_ids, p.runs, p.latest.run_id if p.latest else None)
        for p in there.store.pipelines(None)
    }
    assert found == {
        "alone": (("alone",), 1, "2026-01-31T12:00:00.123456"),
        "old": (("old",), 1, f"scheduled__{_OLD}"),
        "old.er": (("old.er",), 1, "manual"),
        "other": (("other",), 1, "2026-01-31T12:00:01"),
        "p": (("one", "two"), 3, "second"),
        "pipe.line": (("a_dag",), 1, "manual__1"),
    }
    assert [p.name for p in there.store.pipelines(frozenset({"two", "other"}))] == ["other", "p"]


def test_run_details_have_executions_events_artifacts_and_tasks(there: _There) -> None:
    run = there.store.run_named("two", "a:b+c", None)
    other = there.store.run_named("a_dag", "manual__1", None)
    details = there.store.run_details([run, other], ["string"])
    assert [d.run for d in details] == [run, other] and there.store.run(run.id, None) == run
    gen, use = details[0].executions
    assert (gen.node, gen.task) == ("Gen", Task("two", "a:b+c", "Gen", -1, 1))
    assert use.task == Task("two", "a:b+c", "Use", -1, 2)
    assert [(e.execution_id, e.kind) for e in details[0].events] == [
        (gen.id, "OUTPUT"),
        (use.id, "INPUT"),
        (use.id, "INPUT"),
    ]
    assert sorted(a.uri for a in details[0].artifacts.values()) == ["/one/a:b+c", "/two/a:b+c"]
    assert run_state(details[0].executions) == "COMPLETE"
    assert [p.name for p in details[1].executions[0].properties] == ["string", "string"]
    assert {e.state for e in details[1].executions} == {
        "NEW",
        "RUNNING",
        "COMPLETE",
        "FAILED",
        "CACHED",
        "CANCELED",
    }


def test_outlines_of_runs_say_in_short_what_all_of_them_does(there: _There) -> None:
    runs, names = _all_runs(there.store), ["string", "span", "blessed"]
    outlines = there.store.run_outlines(runs, names)
    assert list(map(summary, outlines)) == list(map(summary, there.store.run_details(runs, names)))
    assert any(outline.artifacts for outline in outlines)
    assert all(event.is_output for outline in outlines for event in outline.events)


def test_runs_that_made_an_artifact_of_a_type_are_found_without_the_rest(there: _There) -> None:
    runs = _all_runs(there.store)
    outlines = there.store.run_outlines(runs)
    types = {artifact.type for outline in outlines for artifact in outline.artifacts.values()}
    found = {type_: there.store.with_output(runs, type_) for type_ in types}
    assert found == {type_: [one.run for one in outlines if outputs(one, type_)] for type_ in types}
    assert all(0 < len(some) < len(runs) for some in found.values())
    assert there.store.with_output(runs, "Unknown") == there.store.with_output([], "Examples") == []


@pytest.mark.parametrize(
    ("name", "op", "value", "expected"),
    [
        # Declared properties count from 0 to 6, custom ones from 100; the eighth artifact has none.
        ("int", "=", "3", [3]),
        ("int", "=", "3.0", [3]),
        ("int", "<", "2", [0, 1]),
        ("int", ">=", "105", [5, 6]),
        ("int", "!=", "3", [0, 1, 2, 3, 4, 5, 6]),
        ("int", "=", "99999999999999999999", []),
        ("double", "=", "3.1", [3]),
        ("double", ">", "105.5", [6]),
        ("string", "=", "3 ü \\ '\"%", [3]),
        ("string", "~", "3 ü \\", [3]),
        ("string", "~", "%", [0, 1, 2, 3, 4, 5, 6]),
        ("string", "~", "_", []),
        ("string", ">", "6 a", [6]),
        ("bool", "=", "true", [1, 3, 5]),
        ("wrapped", "~", "mlmd", []),
        ("judged", "=", "0.5", [0]),
        ("judged", "=", "yes", [1]),
        ("nothing", "=", "1", []),
    ],
)
def test_artifacts_are_found_by_properties(
    there: _There, name: str, op: str, value: str, expected: list[int]
) -> None:
    wanted = ArtifactFilter(type="Thing", properties=(PropertyFilter(name, op, value),))
    found = there.store.artifacts(wanted, None).rows
    numbers = [int(artifact.uri.split("/")[3]) for artifact in found]
    assert sorted(numbers) == expected


@pytest.mark.parametrize(
    ("wanted", "uris"),
    [
        (ArtifactFilter(uri="/srv/\\thing/2"), ["/srv/\\thing/2/ü"]),
        (ArtifactFilter(uri="/srv/_thing"), []),
        (ArtifactFilter(text="NAME 3 \\"), ["/srv/\\thing/3/ü"]),
        (ArtifactFilter(text="plain", uri="/two"), ["/two/second", "/two/a:b+c"]),
        (ArtifactFilter(producer="Gen"), ["/two/second", "/two/a:b+c", "/one/a:b+c"]),
        (ArtifactFilter(producer="Use"), []),
        (ArtifactFilter(state="DELETED"), ["/srv/\\thing/4/ü"]),
        (ArtifactFilter(until=1), []),
        (ArtifactFilter(type="Plain", since=1), ["/of/no/run", "/two/second", "/two/a:b+c", "/one/a:b+c"]),
    ],
)
def test_artifacts_are_found_by_what_they_are(there: _There, wanted: ArtifactFilter, uris: list[str]) -> None:
    assert [artifact.uri for artifact in there.store.artifacts(wanted, None).rows] == uris


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ExecutionFilter(node="Use"), ["two second", "two a:b+c", "one a:b+c"]),
        (ExecutionFilter(node="Use", dag_id="one"), ["one a:b+c"]),
        (ExecutionFilter(task_id="Use", pipeline="p"), ["two second", "two a:b+c", "one a:b+c"]),
        (ExecutionFilter(type="Use", state="COMPLETE"), ["two second", "two a:b+c", "one a:b+c"]),
        (ExecutionFilter(text="TWO:SEC"), ["two second", "two second"]),
        (ExecutionFilter(text="maker.x", state="FAILED"), ["a_dag manual__1"]),
        (ExecutionFilter(text="b.use"), ["two second", "two a:b+c", "one a:b+c"]),
        (ExecutionFilter(type="Use", state="FAILED"), []),
        (ExecutionFilter(node="Gen", pipeline="alone"), ["alone 2026-01-31T12:00:00.123456"]),
        (ExecutionFilter(node="Gen.first", pipeline="old"), [f"old scheduled__{_OLD}"]),
    ],
)
def test_executions_are_found(there: _There, wanted: ExecutionFilter, expected: list[str]) -> None:
    found = there.store.executions(wanted, None).rows
    assert [f"{e.run.dag_id} {e.run.run_id}" for e in found if e.run] == expected


def test_pages_hold_each_row_once_also_while_rows_come(there: _There) -> None:
    official = sorted(map(int, there.official["artifacts"]), reverse=True)
    first = there.store.artifacts(ArtifactFilter(), None, limit=5)
    assert [a.id for a in first.rows] == official[:5] and first.after == official[4]
    for dags in (None, frozenset({"a_dag", "two", "one"})):
        whole = there.store.artifacts(ArtifactFilter(), dags, limit=100)
        assert whole.after is None and whole.searched_to is None
        assert _walked(functools.partial(_after, there.store.artifacts, ArtifactFilter(), dags, 3)) == [
            a.id for a in whole.rows
        ]
        every = there.store.executions(ExecutionFilter(), dags, limit=100)
        for wanted in (ExecutionFilter(), ExecutionFilter(node="Gen"), ExecutionFilter(state="COMPLETE")):
            walked = _walked(functools.partial(_after, there.store.executions, wanted, dags, 2))
            expected = there.store.executions(wanted, dags, limit=100).rows
            assert walked == [e.id for e in expected] and set(expected) <= set(every.rows)
    runs = [run.id for run in _all_runs(there.store)]
    assert _walked(lambda after: there.store.runs(RunFilter(), None, 2, after)) == runs
    failed = there.store.runs(RunFilter(state="COMPLETE"), None, 100).rows
    assert _walked(lambda after: there.store.runs(RunFilter(state="COMPLETE"), None, 2, after)) == [
        run.id for run in failed
    ]


def _after(ask: Callable[..., Page[Any]], wanted: Any, dags: Any, limit: int, after: int | None) -> Page[Any]:
    return ask(wanted, dags, limit, after)


def _walked(page: Callable[[int | None], Page[Any]]) -> list[int]:
    ids, after = [], None
    while True:
        found = page(after)
        ids += [row.id for row in found.rows]
        after = found.after
        if after is None:
            return ids


def test_what_is_not_for_the_user_looks_as_if_it_were_not_there(there: _There) -> None:
    store, dags = there.store, frozenset({"two"})
    assert {run.dag_id for run in store.runs(RunFilter(), dags).rows} == {"two"}
    executions = store.executions(ExecutionFilter(), dags, limit=100).rows
    assert {e.run.dag_id for e in executions if e.run} == {"two"} and all(e.run for e in executions)
    # The first DAG's artifact was used by the second DAG, and is seen for that.
    uris = [artifact.uri for artifact in store.artifacts(ArtifactFilter(), dags, limit=100).rows]
    assert uris == ["/two/second", "/two/a:b+c", "/one/a:b+c"]
    [hidden] = store.executions(ExecutionFilter(dag_id="one", node="Gen"), None).rows
    [alone] = [a for a in store.artifacts(ArtifactFilter(type="Plain"), None).rows if a.uri == "/of/no/run"]
    assert hidden.run is not None
    for look in (
        lambda: store.run(hidden.run.id, dags),
        lambda: store.run_named("one", "a:b+c", dags),
        lambda: store.execution(hidden.id, dags),
        lambda: store.events_of_execution(hidden.id, dags),
        lambda: store.artifact(alone.id, dags),
        lambda: store.lineage(alone.id, dags),
        lambda: store.events_of_artifact(alone.id, dags),
        lambda: store.artifact(10**6, None),
        lambda: store.execution(10**6, None),
        lambda: store.run(10**6, None),
        lambda: store.run(10**30, None),
        lambda: store.execution(10**30, dags),
        lambda: store.artifact(10**30, None),
    ):
        with pytest.raises(NotFound):
            look()
    assert store.executions(ExecutionFilter(run=hidden.run.id), dags).rows == ()
    assert store.artifacts(ArtifactFilter(run=hidden.run.id), dags).rows == ()
    assert store.runs(RunFilter(), frozenset()).rows == ()


def test_lineage_follows_what_was_made_and_masks_what_is_hidden(there: _There) -> None:
    store = there.store
    [first] = store.artifacts(ArtifactFilter(uri="/one/a:b+c"), None).rows
    whole = store.lineage(first.id, None)
    assert sorted(e.node for e in whole.executions.values()) == ["Gen", "Use", "Use", "Use"]
    assert {(e.artifact_id, e.kind) for e in whole.events} == {(first.id, "OUTPUT"), (first.id, "INPUT")}
    assert not whole.cut
    masked = store.lineage(first.id, frozenset({"two"}))
    assert set(masked.executions) == set(whole.executions)
    [gen] = [e for e in whole.executions.values() if e.node == "Gen"]
    assert (
        masked.executions[gen.id].node,
        masked.executions[gen.id].run,
        masked.executions[gen.id].type,
    ) == (
        "",
        None,
        "",
    )
    assert store.lineage(first.id, None, limit=2).cut
    assert store.lineage(first.id, None, up=0).cut


def test_events_of_an_artifact_with_many_are_the_makers_and_the_newest(there: _There) -> None:
    [first] = there.store.artifacts(ArtifactFilter(uri="/one/a:b+c"), None).rows
    found = there.store.events_of_artifact(first.id, None, limit=1)
    events, cut = found.rows, found.cut
    assert cut and [(event.kind, execution.node) for event, execution in events] == [
        ("OUTPUT", "Gen"),
        ("INPUT", "Use"),
    ]
    assert [execution.task for _, execution in events] == [Task("one", "a:b+c", "Gen", -1, 1), None]
    found = there.store.events_of_artifact(first.id, frozenset({"two"}))
    events, cut = found.rows, found.cut
    assert not cut and {execution.run.dag_id for _, execution in events if execution.run} == {"two"}


def test_types_are_those_of_which_there_is_something(there: _There) -> None:
    assert there.store.types(None) == {
        "artifact": ["Plain", "Thing"],
        "execution": ["a.b.Gen", "a.b.OldGen", "a.b.Use", "a.b.component.Maker"],
        "context": [
            "airflow_task_instance",
            "component_run",
            "node",
            "other",
            "pipeline",
            "pipeline_run",
            "run",
        ],
    }


def test_types_that_a_user_is_told_are_those_of_runs_that_they_may_see(there: _There) -> None:
    known = {"one": ["pipeline_run"], "old": ["run"], "nowhere": []}
    for dag_id, types in known.items():
        dags = frozenset({dag_id})
        assert there.store.run_types(dags) == there.store.for_request().run_types(dags) == types
        assert there.store.types(dags) == {"artifact": None, "execution": None, "context": types}
    assert there.store.run_types(frozenset({"one", "old"})) == ["pipeline_run", "run"]


def test_calls_over_one_connection_give_the_same_and_ask_for_types_once(there: _There) -> None:
    engine, asked, opened = make_engine(url(there.address)), [], []
    sa.event.listen(engine, "before_cursor_execute", lambda *event: asked.append(event[2]))
    sa.event.listen(engine, "engine_connect", opened.append)
    store = Store(engine)
    runs = _all_runs(store)
    alone = [store.run_outlines([store.run(run.id, None)]) for run in runs]
    asked.clear(), opened.clear()
    with store.connected() as connected:
        assert [connected.run_outlines([connected.run(run.id, None)]) for run in runs] == alone
        with connected.connected() as nested, pytest.raises(NotFound):
            nested.run(10**6, None)
        assert connected.run(runs[0].id, None) == runs[0]
    assert len(opened) == 1
    # The index asks for types only where there is something new.
    [of_rows] = [one for one in asked if "type_kind" in one]
    assert "WHERE" not in of_rows


def test_what_others_write_meanwhile_is_there_and_nothing_is_written_here(there: _There) -> None:
    store = Store(make_engine(url(there.address)))
    request = store.for_request()
    before, runs = _fingerprint(there.address), _all_runs(request)
    test_run_details_have_executions_events_artifacts_and_tasks(dataclasses.replace(there, store=store))
    assert _fingerprint(there.address) == before
    written(there.address, "late")
    [new] = [run for run in _all_runs(store) if run.id not in {known.id for known in runs}]
    assert (new.pipeline, new.dag_id, new.run_id) == ("later", "late", "first")
    assert _all_runs(request) == runs and new in _all_runs(store.for_request())
    [waited] = [run for run in _all_runs(store) if run.run_id == "waits"]
    assert waited.pipeline == "p"
    with store._engine.connect() as connection, pytest.raises(sa.exc.DBAPIError):
        name = "MLMDEnv" if there.address["kind"] != "postgresql" else "mlmdenv"
        connection.exec_driver_sql(f"delete from {name}")
    store.check()


def _fingerprint(address: dict[str, Any]) -> str:
    return hashlib.md5(Path(address["path"]).read_bytes()).hexdigest() if address["kind"] == "sqlite" else ""


def test_of_the_newest_runs_as_much_is_known_as_when_all_are_read(there: _There) -> None:
    everything = there.store.runs(RunFilter(), None, limit=100).rows
    details = {
        row.id: detail
        for row, detail in zip(everything, there.store.run_details(everything, None), strict=True)
    }
    numbers = set()
    for recent in range(1, 200, 3):
        store = Store(there.store._engine, recent=recent)
        found = store.runs(RunFilter(), None, limit=100).rows
        assert found == everything[: len(found)]
        # As text, since NaN is not equal to itself.
        assert repr(store.run_details(found, None)) == repr([details[run.id] for run in found])
        numbers.add(len(found))
    assert 0 in numbers and len(everything) in numbers and len(numbers) > 2


def test_a_run_that_commits_after_a_newer_one_is_found(there: _There) -> None:
    store = Store(make_engine(url(there.address)))
    context, type_ = store._tables.context, store._tables.type
    # SQLite has one writer at a time, so its ids are committed in their order.
    order = (1, 2) if there.address["kind"] == "sqlite" else (2, 1)
    with contextlib.closing(sa.create_engine(url(there.address)).connect()) as writer:
        run = writer.execute(sa.select(type_.c.id).where(type_.c.name == "pipeline_run")).scalar_one()
        last = writer.execute(sa.select(sa.func.max(context.c.id))).scalar_one()
        times = {"create_time_since_epoch": 1, "last_update_time_since_epoch": 1}
        for step in order:
            # Often enough that the rows are counted, and found to be the same.
            before = [_all_runs(store) for _ in range(4)][-1]
            row = {"id": last + step, "type_id": run, "name": f"p.step-{step}", **times}
            writer.execute(sa.insert(context).values(row))
            writer.commit()
            assert {run.id for run in _all_runs(store)} - {run.id for run in before} == {last + step}
