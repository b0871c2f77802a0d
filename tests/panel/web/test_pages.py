"""Every page and its JSON twin, over a store that ml_metadata wrote and artifacts that TFX's libraries wrote."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.store import Store
from mlmd_panel.web.app import Panel, create_app
from mlmd_panel.web.routes import PAGES

from tests.panel.written import FIRST, SECOND, Written, written

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def made() -> Written:
    return written()


@pytest.fixture(scope="module")
def client(made: Written) -> Iterator[TestClient]:
    with TestClient(create_app(made.panel), follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="module")
def answered(client: TestClient, made: Written) -> dict[str, tuple[str, BeautifulSoup]]:
    """By the path of every page its header `link` and the page: several tests look at all, and none changes one."""
    found = {}
    for path in made.paths():
        response = client.get(path)
        assert response.status_code == 200, (path, response.text[-2000:])
        found[path] = (response.headers["link"], BeautifulSoup(response.text, "html.parser"))
    return found


@pytest.fixture
def empty(tmp_path: Path, made: Written) -> TestClient:
    """A panel over a store with nothing in it: the schema of the real one, without rows but its version."""
    import sqlite3

    source = sqlite3.connect(made.folder / "metadata.db")
    target = sqlite3.connect(tmp_path / "empty.db")
    for (sql,) in source.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    ):
        target.execute(sql)
    target.execute("INSERT INTO MLMDEnv VALUES (10)")
    target.commit()
    store = Store(make_engine(address.of_file(tmp_path / "empty.db")))
    return TestClient(create_app(Panel(store, Files([str(tmp_path)]))), follow_redirects=False)


def _json_path(path: str) -> str:
    before, mark, query = path.partition("?")
    return f"{before}.json{mark}{query}"


def _page(client: TestClient, path: str) -> BeautifulSoup:
    response = client.get(path)
    assert response.status_code == 200, (path, response.text[-2000:])
    return BeautifulSoup(response.text, "html.parser")


def test_every_page_and_its_twin_are_there_and_agree(
    client: TestClient, answered: dict[str, tuple[str, BeautifulSoup]]
) -> None:
    for path, (alternate, page) in answered.items():
        twin = client.get(_json_path(path))
        assert twin.status_code == 200, path
        data = json.loads(twin.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert data["ok"] is True
        assert page.title.text.startswith(data["title"])
        assert page.find("main")
        assert client.get(alternate.partition("<")[2].partition(">")[0]).json() == data


def test_all_views_are_asked_in_these_tests(made: Written) -> None:
    paths = [path.partition("?")[0] for path in made.paths()]
    for pattern in PAGES:
        parts = pattern.partition("{node")[0].split("{id}")
        assert any(
            p.startswith(parts[0])
            and p.endswith(parts[-1] if len(parts) > 1 and "nodes" not in pattern else "")
            for p in paths
        )


def test_links_lead_to_pages_that_are_there(
    client: TestClient, answered: dict[str, tuple[str, BeautifulSoup]]
) -> None:
    seen: set[str] = set()
    for _, page in answered.values():
        for link in page.find_all("a", href=True):
            target = link["href"]
            if "data-airflow" in link.attrs:
                assert target.startswith("/air/dags/")
            elif not target.startswith("#"):
                assert target.startswith("/")
                seen.add(target)
    assert len(seen) > 100
    for target in {target.partition("#")[0] for target in seen} - set(answered):
        assert client.get(target).status_code == 200, target


def test_texts_of_the_store_are_never_markup(
    client: TestClient, answered: dict[str, tuple[str, BeautifulSoup]]
) -> None:
    pages = {path: page for path, (_, page) in answered.items()}
    for path in (f"/search?q={HOSTILE}", f"/runs?text={HOSTILE}&metrics={HOSTILE}"):
        pages[path] = BeautifulSoup(client.get(path, params=None).text, "html.parser")
    shown = 0
    for path, page in pages.items():
        shown += "alert(1)" in page.text
        for script in page.find_all("script"):
            assert script.get("src") or "data-chart" in script.attrs, path
            if "data-chart" in script.attrs:
                json.loads(script.string)
        for element in page.find_all(True):
            assert not [name for name in element.attrs if name.startswith("on") or name == "style"], path
            assert not element.get("href", "").lower().startswith("javascript:")
        assert not page.find_all(["iframe", "object", "embed", "base", "img"])
    assert shown > 10


def test_links_stay_below_the_prefix(made: Written) -> None:
    outer = FastAPI()
    outer.mount("/pre/fix", create_app(made.panel))
    with TestClient(outer, follow_redirects=False, root_path="/air") as client:
        for path in ("/runs", f"/runs/{made.ids[f'run {FIRST}']}", f"/artifacts/{made.ids['compared']}"):
            page = _page(client, f"/air/pre/fix{path}")
            for element in page.find_all(["a", "form", "link", "script"]):
                target = element.get("href") or element.get("src") or element.get("action")
                if target and not target.startswith(("#", "data:", "/air/dags/")):
                    assert target.startswith("/air/pre/fix/"), target
        found = client.get("/air/pre/fix/", params={"dag_id": "taxi", "run_id": FIRST})
        assert found.headers["location"] == f"/air/pre/fix/runs/{made.ids[f'run {FIRST}']}"
        description = client.get("/air/pre/fix/api.json").json()
        assert description["servers"] == [{"url": "/air/pre/fix"}]


def test_airflows_tabs_lead_to_the_run_or_the_node(client: TestClient, made: Written) -> None:
    def to(**query: str) -> str:
        return client.get("/", params=query).headers["location"]

    run = f"/runs/{made.ids[f'run {FIRST}']}"
    assert to() == "/pipelines"
    assert to(dag_id="taxi") == "/runs?dag_id=taxi"
    assert to(dag_id="taxi", run_id=FIRST) == run
    assert to(dag_id="taxi", run_id=FIRST, task_id="Trainer", map_index="-1") == f"{run}/nodes/Trainer"
    assert to(dag_id="taxi", run_id=FIRST, task_id="no_node") == run
    assert to(dag_id="taxi", run_id=FIRST, task_id="{TASK_ID}") == run
    nowhere = client.get("/", params={"dag_id": "taxi", "run_id": "other"})
    assert nowhere.status_code == 404
    assert "has no record of run" in BeautifulSoup(nowhere.text, "html.parser").find("main").text


def test_pages_of_a_list_follow_each_other(client: TestClient) -> None:
    seen: list[int] = []
    path: str | None = "/runs?limit=10&pipeline=many"
    while path:
        page = _page(client, path)
        rows = client.get(_json_path(path)).json()["runs"]
        seen += [row["summary"]["run"]["id"] for row in rows]
        assert len(page.select("tbody tr")) == len(rows)
        older = page.find("a", rel="next")
        path = older["href"] if older else None
    assert len(seen) == len(set(seen)) == 30
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("table", ("/runs", "/executions", "/artifacts"))
def test_lists_are_csv_too(client: TestClient, table: str) -> None:
    response = client.get(f"{table}.csv", params={"limit": 7})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in response.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    twin = client.get(f"{table}.json", params={"limit": 7}).json()[table[1:]]
    lines = [line for row in twin for line in (row, *row.get("branches", ()))]
    assert [int(row["id"]) for row in rows] == [
        (one.get("summary", {}).get("run") or one)["id"] for one in lines
    ]
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "@", "\t")]


def test_a_run_tells_its_state_span_verdict_metrics_and_attempts(client: TestClient, made: Written) -> None:
    first = client.get(f"/runs/{made.ids[f'run {FIRST}']}.json").json()
    summary = first["summary"]
    assert (summary["state"], summary["spans"], summary["blessed"], summary["pushed"]) == (
        "COMPLETE",
        [7],
        True,
        True,
    )
    assert first["metrics"]
    assert set(first["metric_values"]) == set(first["metrics"])
    assert first["verdict"]["checks"]
    second = client.get(f"/runs/{made.ids[f'run {SECOND}']}.json").json()
    assert (second["summary"]["state"], second["summary"]["failed"]) == ("FAILED", ["Pusher"])
    nodes = {node["node"]: node for node in second["nodes"]}
    assert (nodes["Trainer"]["attempts"], nodes["Trainer"]["execution"]["state"]) == (2, "COMPLETE")
    assert second["earlier"]["previous"]["run_id"] == FIRST
    page = _page(client, f"/runs/{made.ids[f'run {SECOND}']}")
    logs = [a["href"] for a in page.select("a[data-airflow]")]
    assert "/air/dags/taxi/runs/manual__2014-02-01T00%3A00%3A00%2B00%3A00/tasks/Trainer?try_number=2" in logs


def test_a_run_with_several_models_shows_each_by_its_branch(client: TestClient, made: Written) -> None:
    run = made.ids["run both"]
    data = client.get(f"/runs/{run}.json").json()
    summary = data["summary"]
    assert (summary["blessed"], summary["pushed"], summary["evaluation"]) == (False, None, None)
    told = {
        b["summary"]["name"]: (b["summary"]["blessed"], b["summary"]["pushed"], b["summary"]["spans"])
        for b in data["branches"]
    }
    assert told == {
        "north": (True, True, [0]),
        "south": (False, None, [1]),
        "each [0]": (True, True, [2]),
        "each [1]": (True, True, [3]),
    }
    places = {"north": "north-1", "south": "south-1", "each [0]": "each0", "each [1]": "each1"}
    for branch in data["branches"]:
        name = places[branch["summary"]["name"]]
        assert branch["summary"]["evaluation"]["id"] == made.ids[f"evaluation {name}"]
        assert branch["verdict"] or branch["verdict_problem"]
    by_name = {branch["summary"]["name"]: branch["metric_values"] for branch in data["branches"]}
    assert by_name["north"] == by_name["each [0]"] != by_name["south"]
    page = _page(client, f"/runs/{run}")
    table = page.find("h2", string="Branches").find_next("table")
    assert [th.text for th in table.select("tbody th")] == list(told)
    assert [h2.text for h2 in page.find_all("h2") if "Verdict of" in h2.text]
    [row] = client.get("/runs.json?pipeline=regions").json()["runs"]
    assert [b["summary"]["name"] for b in row["branches"]] == list(told)
    assert [b["metrics"] for b in row["branches"]] == [b["metric_values"] for b in data["branches"]]
    assert len(_page(client, "/runs?pipeline=regions").select("tbody tr")) == 5
    rows = list(csv.DictReader(io.StringIO(client.get("/runs.csv?pipeline=regions").text, newline="")))
    assert [line["branch"] for line in rows] == ["", *told]


def test_branches_are_compared_with_each_other(client: TestClient, made: Written) -> None:
    run = made.ids["run both"]
    path = f"/compare.json?base={run}&other={run}&metrics=*"
    data = client.get(f"{path}&base_branch=north&other_branch=south").json()
    [found] = data["diffs"]
    assert (found["baseline"]["branch"], found["candidate"]["branch"]) == ("north", "south")
    assert found["baseline"]["evaluation"] == made.ids["evaluation north-1"]
    assert found["rows"]
    [same] = client.get(f"{path}&other_branch=each [1]").json()["diffs"]
    assert (same["baseline"]["branch"], same["candidate"]["branch"]) == ("each [1]", "each [1]")
    assert client.get(f"{path}&other_branch=west").status_code == 404
    branches = "candidate_branch=south&baseline_branch=north"
    page = _page(client, f"/compare?baseline={run}&candidate={run}&{branches}")
    chosen = [
        page.select(f"select[name={name}_branch] option[selected]") for name in ("candidate", "baseline")
    ]
    assert [[option["value"] for option in options] for options in chosen] == [["south"], ["north"]]


def test_chosen_metrics_are_shown_in_their_order(client: TestClient) -> None:
    query = "pipeline=taxi&metrics=auc&metrics=example_count&metrics=nothing"
    page = _page(client, f"/runs?{query}")
    data = client.get(f"/runs.json?{query}").json()
    assert data["metrics"] == ["auc", "example_count", "nothing"]
    headers = [th.text.strip() for th in page.select("thead th")]
    assert headers[headers.index("auc") :][:3] == data["metrics"]


def test_an_artifact_tells_who_made_used_and_reused_it(client: TestClient, made: Written) -> None:
    data = client.get(f"/artifacts/{made.ids['examples']}.json").json()
    assert [row["execution"]["id"] for row in data["made_by"]] == [made.ids[f"{FIRST}/ExampleGen/1"]]
    assert [row["execution"]["id"] for row in data["reused_by"]] == [made.ids[f"{SECOND}/ExampleGen/1"]]
    assert len(data["used_by"]) == 6
    page = _page(client, f"/executions/{made.ids[f'{SECOND}/ExampleGen/1']}")
    assert f"/executions/{made.ids[f'{FIRST}/ExampleGen/1']}" in [a["href"] for a in page.select(".note a")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("examples", "examples"), ("statistics", "statistics"), ("schema", "schema"), ("anomalies", "anomalies"),
        ("graph", "transform"), ("best", "hyperparameters"), ("model", "model"), ("compared", "evaluation"),
        ("blessing", "blessing"), ("pushed", "model"),
    ],
)  # fmt: skip
def test_typed_views(client: TestClient, made: Written, name: str, kind: str) -> None:
    data = client.get(f"/artifacts/{made.ids[name]}.json").json()
    assert data["payload"]["kind"] == kind, data["payload_problem"]
    page = _page(client, f"/artifacts/{made.ids[name]}")
    assert len(page.select("main .table, main .card, main .note")) > 2
    scripts = [s["src"] for s in page.find_all("script", src=True)]
    assert any("plotly" in s for s in scripts) == bool(page.select("script[data-chart]"))


def test_every_chart_has_its_numbers_in_a_table(client: TestClient, made: Written) -> None:
    for name in ("compared", "bootstrap", "classes", "statistics"):
        charts = _page(client, f"/artifacts/{made.ids[name]}").select("script[data-chart]")
        assert charts
        for script in charts:
            assert script.find_next("table")
            assert script.find_previous_sibling(class_="chart")["aria-label"]


def test_an_evaluation_is_narrowed_by_its_address(client: TestClient, made: Written) -> None:
    path = f"/artifacts/{made.ids['compared']}"
    all_rows = _page(client, path)
    one = _page(client, f"{path}?metrics=area&slices=Overall&metric=area")
    assert len(one.select("tbody tr")) < len(all_rows.select("tbody tr"))
    assert any(
        [th.text.strip() for th in t.select("thead th")] == ["Slice", "Examples", "area"]
        for t in one.select("table")
    )
    assert _page(client, f"{path}?slices=nowhere").select(".empty")
    assert client.get(f"{path}?min_examples=-1").status_code == 422


def test_files_that_are_gone_or_outside_leave_the_rest_of_the_page(client: TestClient, made: Written) -> None:
    for name in ("gone", "outside"):
        data = client.get(f"/artifacts/{made.ids[name]}.json").json()
        assert data["payload"] is None
        assert data["made_by"]
        note = _page(client, f"/artifacts/{made.ids[name]}").select_one(".note.warn").text
        assert data["payload_problem"]["headline"] in note
        assert str(made.folder) not in data["payload_problem"]["error"]


def test_two_evaluations_are_compared(client: TestClient, made: Written) -> None:
    base, other = made.ids[f"run {FIRST}"], made.ids[f"run {SECOND}"]
    data = client.get(f"/compare.json?baseline={base}&candidate={other}&metrics=*").json()
    assert data["diffs"][0]["rows"]
    # The older names, and the default: the last blessed run before.
    assert client.get(f"/compare.json?base={base}&other={other}&metrics=*").json() == data
    client.cookies.clear()  # another test may have followed the link that pins a baseline
    by_default = client.get(f"/compare.json?candidate={other}&metrics=*").json()
    assert by_default["against"] == "blessed", by_default["note"]
    assert by_default["diffs"][0]["rows"] == data["diffs"][0]["rows"]
    query = f"baseline={base}&candidate={other}&metrics=*&changed=true&slices=Overall"
    [narrowed] = client.get(f"/compare.json?{query}").json()["diffs"]
    assert all("Overall" in row["slice"]["name"] and row["changed"] for row in narrowed["rows"])
    # What is shown is narrowed, not what was tested.
    assert narrowed["sentence"] == data["diffs"][0]["sentence"]
    none = client.get(f"/compare.json?baseline={made.ids['run small 1']}&candidate={other}").json()
    assert "has no evaluation" in none["problem"]


def test_search_finds_names_and_ids(client: TestClient, made: Written) -> None:
    found = client.get("/search.json", params={"q": "tax"}).json()
    assert [p["name"] for p in found["pipelines"]] == ["taxi"]
    assert {run["run_id"] for run in found["runs"]} == {FIRST, SECOND}
    # Also where newer ones than a page holds have the digits in their URIs.
    by_id = client.get("/search.json", params={"q": "1"}).json()
    assert [found["id"] for found in (by_id["artifacts"][0], by_id["executions"][0])] == [1, 1]
    assert by_id["more"]["artifacts"] and len({a["id"] for a in by_id["artifacts"]}) == 11
    by_id = client.get("/search.json", params={"q": str(made.ids["bootstrap"])}).json()
    assert by_id["artifacts"][0]["id"] == made.ids["bootstrap"]
    assert client.get("/search.json", params={"q": "9" * 30}).json()["artifacts"] == []


def test_lineage_is_bounded_by_steps_and_number(client: TestClient, made: Written) -> None:
    path = f"/artifacts/{made.ids['model']}/lineage.json"
    whole, near = client.get(path).json(), client.get(path, params={"up": 1, "down": 0}).json()
    assert set(near["lineage"]["artifacts"]) <= set(whole["lineage"]["artifacts"])
    assert near["lineage"]["cut"]
    assert len(near["lineage"]["executions"]) == 1
    page = _page(client, f"/artifacts/{made.ids['model']}/lineage")
    assert len(page.select(".graph g a")) == len(whole["lineage"]["artifacts"]) + len(
        whole["lineage"]["executions"]
    )
    assert len(page.select(".graph .here")) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404), ("/runs/999999", 404), ("/artifacts/999999", 404), ("/executions/999999/x", 404),
        ("/runs/x", 422), ("/runs/0", 422), (f"/runs/{2**63}", 422), (f"/runs?after={2**64}", 422),
        ("/runs?limit=100000", 422), ("/runs?after=-1", 422), ("/runs?state=ODD", 400),
        ("/artifacts?property=nothing", 400), (f"/search?q={'x' * 501}", 422), (f"/artifacts/{2**63 - 1}", 404),
        ("/artifacts/1/lineage?up=31", 422), ("/static/../app.py", 404), ("/static/app.py", 404),
        ("/runs/2/nodes/Other", 404), ("/docs", 404), ("/openapi.json", 404), ("/%00", 404),
    ],
)  # fmt: skip
def test_errors_have_one_shape(client: TestClient, path: str, status: int) -> None:
    for target in {_json_path(path), path}:
        response = client.get(target, headers={"accept": "application/json"})
        assert response.status_code == status, target
        body = response.json()
        assert set(body) == {"ok", "error", "status", "headline"}
        assert (body["ok"], body["status"]) == (False, status)
    page = client.get(path, headers={"accept": "text/html"})
    assert page.status_code == status
    if page.headers["content-type"].startswith("text/html"):
        alert = BeautifulSoup(page.text, "html.parser").find(role="alert")
        assert body["headline"] in alert.text


def test_a_defect_is_logged_and_told_without_details(
    made: Written, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    panel = made.panel
    monkeypatch.setattr(panel.store, "pipelines", lambda dags: 1 / 0)
    with TestClient(create_app(panel)) as client:
        for path in ("/pipelines", "/pipelines.json"):
            response = client.get(path)
            assert response.status_code == 500
            assert "division" not in response.text
            assert "content-security-policy" in response.headers
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_panel_only_reads(client: TestClient, method: str) -> None:
    for path in ("/", "/runs", "/runs.json", "/static/panel.css", "/nowhere"):
        assert client.request(method, path).status_code == 405


def test_head_answers_as_get(client: TestClient) -> None:
    for path in ("/runs", "/runs.json", "/runs.csv", "/static/panel.js", "/api.json"):
        assert client.head(path).status_code == 200
        assert client.head(path).headers["content-type"] == client.get(path).headers["content-type"]
    assert client.head("/nowhere").status_code == 404


def test_every_response_has_the_security_headers(client: TestClient) -> None:
    for path in (
        "/",
        "/runs",
        "/runs.json",
        "/runs.csv",
        "/nowhere",
        "/runs/x",
        "/static/panel.css",
        "/api.json",
    ):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
        assert (policy["frame-ancestors"], policy["base-uri"], policy["form-action"]) == (
            "'self'",
            "'none'",
            "'self'",
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"].startswith("private")


def test_static_files_are_kept_for_ever_under_their_version_only(client: TestClient) -> None:
    page = _page(client, "/runs")
    versioned = page.find("link", rel="stylesheet")["href"]
    assert "immutable" in client.get(versioned).headers["cache-control"]
    assert "immutable" not in client.get("/static/panel.css").headers["cache-control"]
    assert client.get("/static/plotly.min.js").headers["content-type"].startswith("text/javascript")


def test_every_route_is_guarded_and_rows_are_those_that_may_be_seen(made: Written) -> None:
    def nobody() -> None:
        raise HTTPException(403, "Not for you.")

    with TestClient(create_app(made.panel, [Depends(nobody)])) as client:
        for path in (*made.paths(), "/", "/static/panel.css", "/api.json", "/runs.csv", "/nowhere"):
            assert client.get(path).status_code == 403, path
        assert client.get("/runs.json").json()["error"] == "Not for you."
    with TestClient(create_app(made.panel, readable=lambda: frozenset({"many"}))) as client:
        assert [p["pipeline"]["name"] for p in client.get("/pipelines.json").json()["pipelines"]] == ["many"]
        assert client.get(f"/runs/{made.ids[f'run {FIRST}']}").status_code == 404
        assert client.get(f"/artifacts/{made.ids['examples']}").status_code == 404


def test_an_empty_store_has_pages_that_say_so(empty: TestClient) -> None:
    for path in ("/pipelines", "/runs", "/executions", "/artifacts", "/compare", "/search?q=x"):
        assert _page(empty, path).select(".empty"), path


def test_the_description_holds_every_twin(client: TestClient) -> None:
    described: dict[str, Any] = client.get("/api.json").json()
    assert set(described["paths"]) == {f"{path.replace(':path', '')}.json" for path in PAGES}
    for operations in described["paths"].values():
        assert set(operations) == {"get"}
        assert operations["get"]["summary"]
