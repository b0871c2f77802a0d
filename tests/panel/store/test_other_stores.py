"""Stores that other programs than TFX wrote: their runs, contexts and names, and who sees them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi.testclient import TestClient
from mlmd_panel.errors import NotFound
from mlmd_panel.files.allowed import Files
from mlmd_panel.store.context_rows import Context
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.filters import ArtifactFilter, ContextFilter, ExecutionFilter, RunFilter
from mlmd_panel.store.records import Execution
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app

from tests.panel import database_servers
from tests.panel.stores import url, written

HOSTILE = "first try </script><script>alert(1)</script>"  # of tests/panel/official_others.py


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Runs of Kubeflow Pipelines, MLMD's guide, and of this bundle, in one store."""
    if request.param == "sqlite":
        address = {"kind": "sqlite", "path": str(tmp_path_factory.mktemp("others") / "files" / "metadata.db")}
    else:
        address = database_servers.empty(request.param).address
    written(address, "kfp", "guide", "tasks", module="official_others")
    return Store(make_engine(url(address)))


def _client(store: Store, **options: Any) -> TestClient:
    return TestClient(create_app(Panel(store, Files(["/nowhere"])), **options), follow_redirects=False)


def _executions(store: Store, **wanted: Any) -> list[Execution]:
    return list(store.executions(ExecutionFilter(**wanted), None, limit=100).rows)


def test_contexts_of_any_type_are_runs_when_executions_are_theirs(store: Store) -> None:
    runs = store.runs(RunFilter(), None, limit=100).rows
    others = [(run.type, run.label, run.pipeline, run.dag_id) for run in runs if run.type != "pipeline_run"]
    assert others == [
        ("Experiment", "exp2", "2026", ""),
        ("Experiment", "exp1", "2026", ""),
        ("system.PipelineRun", "3f1c-2", "penguins", ""),
        ("system.PipelineRun", "3f1c-1", "penguins", ""),
    ]
    assert {run.dag_id for run in runs if run.type == "pipeline_run"} == {"one", "two"}
    assert store.run_types(None) == ["Experiment", "pipeline_run", "system.PipelineRun"]
    typed = store.runs(RunFilter(type="Experiment", text="EXP2"), None).rows
    assert [run.label for run in typed] == ["exp2"]
    assert [run.label for run in store.runs(RunFilter(pipeline="penguins"), None).rows] == [
        "3f1c-2",
        "3f1c-1",
    ]
    found = {pipeline.name: pipeline.runs for pipeline in store.pipelines(None)}
    assert found == {"2026": 2, "p": 3, "penguins": 2}


def test_executions_are_called_what_their_program_calls_them(store: Store) -> None:
    assert [e.label for e in _executions(store, pipeline="penguins")] == [
        "test-model",
        "Train it",
        "root",
    ] * 2
    assert [e.label for e in _executions(store, pipeline="2026")] == ["Trainer", "Trainer"]
    [loose] = _executions(store, type="Notebook")
    assert (loose.label, loose.run, loose.state) == ("my loose cell", None, "COMPLETE")
    [model] = store.artifacts(ArtifactFilter(uri="gs://bucket/1/"), None).rows
    assert model.display_name == "the model"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("TRAIN IT", ["Train it", "Train it"]),
        ("test-mod", ["test-model", "test-model"]),
        ("loose", ["my loose cell"]),
        ("3f1c-2", ["test-model", "Train it", "root"]),
        ("exp1", ["Trainer"]),
        ("b.gen", ["Gen", "Gen", "Gen"]),
    ],
)
def test_executions_are_found_by_those_names(store: Store, text: str, labels: list[str]) -> None:
    assert [e.label for e in _executions(store, text=text)] == labels


def test_contexts_and_artifacts_are_found_by_their_names(store: Store) -> None:
    def labels(**wanted: Any) -> list[str]:
        return [context.label for context in store.contexts(ContextFilter(**wanted), None, limit=100).rows]

    assert labels(others=True) == [
        "A named one", "exp2", "exp1", "2026", "3f1c-2", "3f1c-1", "penguins",
    ]  # fmt: skip
    assert labels(text="named") == ["A named one"]
    assert labels(text="only art") == ["A named one"]
    assert labels(type="Programme") == ["2026"]
    assert labels(type="pipeline") == ["p"]
    first = store.contexts(ContextFilter(others=True), None, limit=3)
    rest = store.contexts(ContextFilter(others=True), None, limit=100, after=first.after)
    assert [c.label for c in (*first.rows, *rest.rows)] == labels(others=True)
    models = store.artifacts(ArtifactFilter(text="THE MODEL"), None).rows
    assert [artifact.uri for artifact in models] == ["gs://bucket/2/model", "gs://bucket/1/model"]


def _context(store: Store, name: str) -> Context:
    [found] = [
        c for c in store.contexts(ContextFilter(text=name), None).rows if name in (c.name, c.display_name)
    ]
    return found


def test_a_context_has_properties_parents_children_executions_and_artifacts(store: Store) -> None:
    programme = store.context(_context(store, "2026").id, None)
    assert ([c.name for c in programme.children], programme.parents) == (["exp1", "exp2"], ())
    experiment = store.context(_context(store, "exp2").id, None)
    assert [p.name for p in experiment.parents] == ["2026"]
    assert [(p.name, p.value) for p in experiment.context.properties] == [("note", HOSTILE)]
    of = experiment.context.id
    assert [e.type for e in _executions(store, context=of)] == ["Trainer"]
    assert _executions(store, context=of, state="FAILED") == []
    assert [a.type for a in store.artifacts(ArtifactFilter(context=of), None).rows] == ["SavedModel"]
    named = _context(store, "A named one").id
    assert [a.type for a in store.artifacts(ArtifactFilter(context=named), None).rows] == ["SavedModel"]


def test_what_is_unknown_is_neither_done_nor_invisible(store: Store) -> None:
    [experiment] = store.runs(RunFilter(text="exp1"), None).rows
    assert store.runs(RunFilter(state="UNKNOWN", text="exp"), None).rows[-1] == experiment
    assert [run.label for run in store.runs(RunFilter(state="FAILED"), None).rows] == ["3f1c-2", "3f1c-1"]
    client = _client(store)
    page = client.get(f"/runs/{experiment.id}.json").json()
    assert (page["summary"]["state"], page["summary"]["ended"]) == ("UNKNOWN", None)
    for execution in _executions(store):
        [text] = [client.get(f"/executions/{execution.id}").text]
        assert "visible" not in text.replace("visually", "") and "may not see" not in text
    for artifact in store.artifacts(ArtifactFilter(), None, limit=100).rows:
        for path in (f"/artifacts/{artifact.id}", f"/artifacts/{artifact.id}/lineage"):
            text = client.get(path).text
            assert (
                "may not see" not in text and "you may see" not in text and "not visible to you" not in text
            ), path
    for path in ("/runs/99999", "/artifacts/99999", "/executions/99999", "/contexts/99999"):
        assert "may not see" not in client.get(path, headers={"accept": "text/html"}).text


def test_every_page_of_such_a_store_is_there_and_leads_on(store: Store) -> None:
    client = _client(store)
    paths = [
        "/pipelines",
        "/runs",
        "/runs?type=Experiment",
        "/contexts",
        "/search?q=exp",
        "/search?q=Train",
        "/compare",
    ]
    paths += [f"/contexts/{c.id}" for c in store.contexts(ContextFilter(), None, limit=100).rows]
    paths += [f"/runs/{run.id}" for run in store.runs(RunFilter(), None, limit=100).rows]
    paths += [f"/executions/{execution.id}" for execution in _executions(store)]
    paths += ["/runs.csv", "/executions.csv"]
    seen: set[str] = set()
    for path in paths:
        response = client.get(path)
        assert response.status_code == 200, (path, response.text[-500:])
        if response.headers["content-type"].startswith("text/html"):
            page = BeautifulSoup(response.text, "html.parser")
            assert not [s for s in page.find_all("script") if "alert(1)" in s.text]
            seen |= {a["href"] for a in page.select("main a[href]") if not a["href"].startswith("#")}
            before, mark, query = path.partition("?")
            assert client.get(f"{before}.json{mark}{query}").json()["ok"]
    assert len(seen) > 40
    for target in seen:
        assert client.get(target).status_code == 200, target


def test_in_airflow_what_belongs_to_no_dag_is_for_who_sees_all(store: Store) -> None:
    # Also when a DAG has the name of a context: no other program's pipeline is a DAG.
    dags = frozenset({"two", "penguins", "2026", "exp1"})
    assert {run.dag_id for run in store.runs(RunFilter(), dags, limit=100).rows} == {"two"}
    assert {e.run.dag_id for e in store.executions(ExecutionFilter(), dags, limit=100).rows} == {"two"}
    assert {c.type for c in store.contexts(ContextFilter(), dags, limit=100).rows} == {"pipeline_run"}
    assert store.contexts(ContextFilter(text="exp1"), dags).rows == ()
    assert [p.name for p in store.pipelines(dags)] == ["p"]
    experiment = _context(store, "exp1").id
    [trainer, _] = _executions(store, pipeline="2026")
    for look in (
        lambda: store.context(experiment, dags),
        lambda: store.run(experiment, dags),
        lambda: store.execution(trainer.id, dags),
        lambda: store.context(_context(store, "p").id, dags),
    ):
        with pytest.raises(NotFound, match="or you may not see it"):
            look()
    assert store.executions(ExecutionFilter(context=experiment), dags).rows == ()
    assert store.artifacts(ArtifactFilter(context=experiment), dags).rows == ()
    [mine] = store.runs(RunFilter(text="second"), dags).rows
    assert store.context(mine.id, dags).context.name == "two:second"
    assert store.context(mine.id, dags).parents == ()


def test_hidden_ones_are_called_hidden_and_no_run_is_claimed(store: Store) -> None:
    client = _client(store, readable=lambda: frozenset({"two"}))
    [first] = store.artifacts(ArtifactFilter(uri="/one/a:b+c"), None).rows
    data = client.get(f"/artifacts/{first.id}.json").json()
    assert data["hidden"] is True and data["made_by"] == []
    text = client.get(f"/artifacts/{first.id}").text
    assert "You may not see which execution produced it." in text and "in a run" not in text
    lineage = client.get(f"/artifacts/{first.id}/lineage.json").json()["lineage"]["executions"]
    assert {e["hidden"] for e in lineage.values()} == {True, False}


@pytest.fixture
def address(tmp_path: Path) -> dict[str, Any]:
    """Of a SQLite store that is not there yet."""
    return {"kind": "sqlite", "path": str(tmp_path / "metadata.db")}


def test_links_to_parents_that_come_later_move_executions_to_the_inner_run(address: dict[str, Any]) -> None:
    written(address, "parents", module="official_others")
    store = Store(make_engine(url(address)))
    before = {run.name: run.pipeline for run in store.runs(RunFilter(), None).rows}
    assert before == {"inner": "", "outer": ""}
    written(address, "links", module="official_others")
    after = {run.name: run.pipeline for run in store.runs(RunFilter(), None).rows}
    assert after == {"inner": "outer"}
    assert [e.run.name for e in _executions(store) if e.run] == ["inner", "inner"]
    fresh = Store(make_engine(url(address)))
    assert store.runs(RunFilter(), None).rows == fresh.runs(RunFilter(), None).rows


def test_instances_of_a_node_in_one_run_are_kept_apart(address: dict[str, Any]) -> None:
    written(address, "instances", module="official_others")
    store = Store(make_engine(url(address)))
    several, one = (store.run_named("dag", f"manual__{number}", None) for number in (1, 2))
    for state, runs in (("RUNNING", [several]), ("COMPLETE", [one]), ("FAILED", [])):
        assert list(store.runs(RunFilter(state=state), None).rows) == runs
    client = _client(store)
    nodes = client.get(f"/runs/{several.id}.json").json()["nodes"]
    assert {(n["execution"]["label"], n["execution"]["state"], n["attempts"]) for n in nodes} == {
        ("north.Trainer", "COMPLETE", 1),
        ("south.Trainer", "FAILED", 2),
        ("each.Trainer [0]", "COMPLETE", 2),
        ("each.Trainer [1]", "RUNNING", 1),
    }
    [alone] = client.get(f"/runs/{one.id}.json").json()["nodes"]
    assert (alone["execution"]["label"], alone["attempts"]) == ("Trainer", 1)
    summary = client.get("/runs.json").json()["runs"][1]["summary"]
    assert (summary["state"], summary["failed"]) == ("RUNNING", ["south.Trainer"])
    assert {(b["name"], b["state"]) for b in summary["branches"]} == {
        ("north", "COMPLETE"),
        ("south", "FAILED"),
        ("each [0]", "COMPLETE"),
        ("each [1]", "RUNNING"),
    }
    picture = BeautifulSoup(client.get(f"/runs/{several.id}").text, "html.parser").select(
        ".graph g.execution"
    )
    assert len(picture) == 6 and any("each [0], Trainer" in box.find("title").text for box in picture)


def test_airflows_pages_lead_to_the_task_instance_that_they_name(address: dict[str, Any]) -> None:
    written(address, "instances", module="official_others")
    store = Store(make_engine(url(address)))
    client = _client(store)

    def shown(**query: Any) -> dict[str, Any]:
        where = client.get("/", params={"dag_id": "dag", "run_id": "manual__1", **query}).headers["location"]
        assert "/nodes/Trainer" in where, where
        assert client.get(where).status_code == 200
        before, mark, rest = where.partition("?")
        return client.get(f"{before}.json{mark}{rest}").json()

    for task_id, map_index, attempts in (
        ("north.Trainer", "{MAP_INDEX}", 1), ("south.Trainer", "-1", 2), ("each.Trainer", "0", 2), ("each.Trainer", "1", 1),
    ):  # fmt: skip
        found = shown(task_id=task_id, map_index=map_index)
        task = found["execution"]["task"]
        assert (task["task_id"], str(task["map_index"])) == (task_id, map_index.replace("{MAP_INDEX}", "-1"))
        assert len(found["attempts"]) == attempts == task["try_number"]
        assert {a["task"]["map_index"] for a in found["attempts"]} == {task["map_index"]}
        uris = {row["artifact"]["uri"] for row in found["outputs"]}
        expected = {f"/{task_id}/{task['map_index']}/{attempts}"} if task["map_index"] != 1 else set()
        assert uris == expected
    mapped = shown(task_id="each.Trainer")
    assert [e["label"] for e in mapped["instances"]] == ["each.Trainer [0]", "each.Trainer [1]"]
    assert mapped["execution"] is None
    [several] = store.runs(RunFilter(text="manual__1"), None).rows
    every = client.get(f"/runs/{several.id}/nodes/Trainer.json").json()
    assert len(every["instances"]) == 4
    absent = client.get(
        "/", params={"dag_id": "dag", "run_id": "manual__1", "task_id": "each.Trainer", "map_index": "5"}
    )
    assert absent.headers["location"] == f"/runs/{several.id}"
    assert client.get(f"/runs/{several.id}/nodes/Trainer?task_id=each.Trainer&map_index=5").status_code == 404
    one = client.get("/executions.json?dag_id=dag&task_id=each.Trainer&map_index=0").json()["executions"]
    assert len(one) == 2


def test_a_name_that_was_shortened_says_nothing_and_the_task_instance_everything(
    address: dict[str, Any],
) -> None:
    written(address, "long", module="official_others")
    store = Store(make_engine(url(address)))
    dag_id, run_id = "d" * 250, "manual__" + "r" * 240
    run = store.run_named(dag_id, run_id, frozenset({dag_id}))
    assert (run.dag_id, run.run_id, run.pipeline) == (dag_id, run_id, "p")
    [execution] = store.executions(ExecutionFilter(dag_id=dag_id), frozenset({dag_id})).rows
    assert execution.task is not None and execution.task.map_index == 7
    # The beginning of the name is another DAG's id, and the pipeline's name a third one's.
    for dags in (frozenset({"d" * 120}), frozenset({"p"}), frozenset({""})):
        assert store.runs(RunFilter(), dags).rows == ()
        assert store.executions(ExecutionFilter(), dags).rows == ()
    waiting, known = store.runs(RunFilter(), None).rows
    assert known == run and (waiting.dag_id, waiting.run_id) == ("", waiting.name)
    assert [found.id for found in store.runs(RunFilter(text="r" * 240), None).rows] == [run.id]
    where = _client(store).get("/", params={"dag_id": dag_id, "run_id": run_id}).headers["location"]
    assert where == f"/runs/{run.id}"


def test_the_ids_of_a_shortened_name_come_with_its_first_node(address: dict[str, Any]) -> None:
    written(address, "tasks", module="official_others")
    store = Store(make_engine(url(address)))
    store.check()
    written(address, "long", module="official_others")
    assert store.run_named("d" * 250, "manual__" + "r" * 240, None).pipeline == "p"
    same = Store(make_engine(url(address)))
    assert store.runs(RunFilter(), None).rows == same.runs(RunFilter(), None).rows


def test_records_of_hidden_executions_hold_nothing(store: Store) -> None:
    [first] = store.artifacts(ArtifactFilter(uri="/one/a:b+c"), None).rows
    lineage = store.lineage(first.id, frozenset({"two"}))
    [hidden, *_] = [e for e in lineage.executions.values() if e.hidden]
    assert dataclasses.astuple(hidden)[1:] == ("", "", "UNKNOWN", 0, 0, None, None, (), "", True)
