"""Who sees what of the panel inside Airflow's web application: Airflow's own auth manager, with and without teams, and
FAB's, each in a process of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bundle import ROOT
from tests.panel import tfx_child
from tests.panel.airflow_home import airflow_environment

_SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
_FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
_AIRFLOWS = {
    "simple": {"AIRFLOW__CORE__AUTH_MANAGER": _SIMPLE},
    "teams": {"AIRFLOW__CORE__AUTH_MANAGER": _SIMPLE, "AIRFLOW__CORE__MULTI_TEAM": "True"},
    "fab": {"AIRFLOW__CORE__AUTH_MANAGER": _FAB, "AIRFLOW__API__BASE_URL": "http://testserver/pre"},
}
_ALL = {"open_dag", "secret_dag", "gone_dag"}
# Runs whose rows each user sees; None where the user is turned away. gone_dag is in the store and not in Airflow.
SEES: dict[str, dict[str, set[str] | None]] = {
    "simple": {"anonymous": None, "forger": None, "nobody": None, "viewer": _ALL, "admin": _ALL},
    "teams": {
        "anonymous": None,
        "forger": None,
        "nobody": None,
        "viewer": {"open_dag"},
        "red": _ALL,
        "admin": _ALL,
    },
    "fab": {
        "anonymous": None,
        "forger": None,
        "admin": _ALL,
        "viewer": _ALL,
        "public": None,
        "open_only": {"open_dag"},
        "open_without_runs": None,
        "runs_without_dags": None,
        "open_runs": None,
        "without_code": _ALL,
        "with_code": _ALL,
    },
}
RUN_ID = "manual__2014-01-01T00:00:00+00:00"
# Ids of the runs, and of the artifacts and executions, of the three DAGs in the store, and one that is nobody's.
_RUNS = {"open_dag": "2", "secret_dag": "6", "gone_dag": "10"}
_OTHERS = {"open_dag": "1", "secret_dag": "2", "gone_dag": "3"}
_IDS = ["1", "2", "3", "6", "10", "999"]
_FILTERED = [
    f"/runs.json?dag_id={dag_id}" for dag_id in ("open_dag", "secret_dag", "gone_dag", "no_dag", "~")
]
_SMUGGLED = "/runs.json?dag_id=secret_dag&dag_id=open_dag"
_BY_NAME = [f"/?dag_id={dag_id}&run_id=manual__2014-01-01T00%3A00%3A00%2B00%3A00" for dag_id in sorted(_ALL)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Answers by auth manager."""
    folder = tmp_path_factory.mktemp("access")
    store = folder / "mlmd.db"
    dags = [f"{dag_id}={RUN_ID}" for dag_id in ("open_dag", "secret_dag", "gone_dag")]
    tfx_child.run("write_runs", store, folder / "artifacts", *dags)
    asked = json.dumps({"ids": _IDS, "paths": [*_FILTERED, _SMUGGLED, *_BY_NAME]})
    environments = {}
    for name, values in _AIRFLOWS.items():
        home = folder / name
        home.mkdir()
        environments[name] = airflow_environment(
            home,
            AIRFLOW__MLMD_PANEL__MLMD=f"sqlite:///{store}",
            AIRFLOW__MLMD_PANEL__ROOTS=str(folder / "artifacts"),
            AIRFLOW__API_AUTH__JWT_SECRET="secret of sixty-four bytes, for no purpose other than this test!",
            **values,
        )
        if name == "teams":  # has the tables that Airflow's own auth manager has without teams
            (home / "home").mkdir()
            shutil.copy(folder / "simple" / "home" / "airflow.db", home / "home")
        else:
            _migrate(environments[name])
    children = {}
    for name, environment in environments.items():
        children[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.panel.access_child"],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(folder / name / "errors", "wb"),
            text=True,
        )
    answers = {}
    for name, child in children.items():
        output, _ = child.communicate(asked, timeout=300)
        assert "RESULT" in output, (folder / name / "errors").read_text()[-4000:]
        answers[name] = json.loads(output.rpartition("RESULT")[2])
    yield answers


def _migrate(environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["airflow", "db", "migrate"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def _cases(turned_away: bool) -> list[tuple[str, str]]:
    return [
        (manager, user)
        for manager, users in SEES.items()
        for user, sees in users.items()
        if (sees is None) == turned_away
    ]


def _of(found: dict[str, Any], manager: str, user: str, method: str = "") -> list[dict[str, Any]]:
    answers = [
        a for a in found[manager]["answers"] if a["user"] == user and a["method"] in (method or a["method"])
    ]
    assert answers
    return answers


def _one(found: dict[str, Any], manager: str, user: str, path: str) -> dict[str, Any]:
    return next(a for a in _of(found, manager, user, "GET") if a["path"] == path)


def test_all_routes_of_the_panel_were_asked(found: dict[str, Any]) -> None:
    for manager in SEES:
        routes = set(found[manager]["routes"])
        assert {
            "/",
            "/api.json",
            "/runs",
            "/runs.json",
            "/runs.csv",
            "/static/{file:path}",
            "/{path:path}",
        } <= routes
        assert {a["user"] for a in found[manager]["answers"]} == set(SEES[manager])


@pytest.mark.parametrize(("manager", "user"), _cases(turned_away=True))
def test_who_may_not_look_is_turned_away_everywhere(found: dict[str, Any], manager: str, user: str) -> None:
    status = 401 if user == "anonymous" else 403
    for answer in _of(found, manager, user):
        # This one right of FAB's is deprecated: it opens pages that are asked for with its DAG only.
        if user == "open_runs" and "dag_id=open_dag" in answer["path"]:
            assert answer["status"] in (200, 302, 403) and "secret_dag" not in answer["text"]
            continue
        assert answer["status"] == status, answer
        told = "Log in to Airflow" if user in ("anonymous", "forger") else "may not read these DAG runs"
        assert told in answer["text"] or answer["method"] == "HEAD"
        assert not any(name in answer["text"] for name in (*_ALL, "Write", "value_of")), answer
        assert (
            "content-security-policy" in answer["headers"]
            and "no-store" in answer["headers"]["cache-control"]
        )


@pytest.mark.parametrize(("manager", "user"), _cases(turned_away=False))
def test_lists_show_the_rows_of_permitted_dags_only(found: dict[str, Any], manager: str, user: str) -> None:
    sees = SEES[manager][user]
    assert sees is not None
    for path in ("/runs.json", "/pipelines.json", "/executions.json", "/runs.csv", "/runs", "/pipelines"):
        answer = _one(found, manager, user, path)
        assert answer["status"] == 200, answer
        assert {dag_id for dag_id in _ALL if dag_id in answer["text"]} == sees, path
    for answer in _of(found, manager, user):
        if "dag_id" not in answer["path"]:
            for hidden in _ALL - sees:
                assert hidden not in answer["text"], answer


@pytest.mark.parametrize(("manager", "user"), _cases(turned_away=False))
def test_types_are_offered_of_permitted_dags_only(found: dict[str, Any], manager: str, user: str) -> None:
    for path, type_ in (("/artifacts", "Notes_of_{}"), ("/executions", "tests.pipelines.{}.Write")):
        text = _one(found, manager, user, path)["text"]
        assert {dag_id for dag_id in _ALL if type_.format(dag_id) in text} == SEES[manager][user], path


@pytest.mark.parametrize(("manager", "user"), _cases(turned_away=False))
def test_what_is_hidden_looks_as_if_it_were_not_there(found: dict[str, Any], manager: str, user: str) -> None:
    sees = SEES[manager][user] or set()
    for kind, ids in (("runs", _RUNS), ("artifacts", _OTHERS), ("executions", _OTHERS)):
        for suffix in ("", ".json"):
            nobodys = _one(found, manager, user, f"/{kind}/999{suffix}")
            assert nobodys["status"] == 404
            for dag_id, id_ in ids.items():
                answer = _one(found, manager, user, f"/{kind}/{id_}{suffix}")
                if dag_id in sees:
                    assert answer["status"] == 200, answer
                else:
                    assert answer["status"] == 404
                    assert re.sub(rf"\b{id_}\b", "999", answer["text"]) == nobodys["text"]


def test_lines_of_code_are_for_who_may_read_the_code_of_every_dag(found: dict[str, Any]) -> None:
    reads = {
        manager: {user for user, may in answers["code"].items() if may} for manager, answers in found.items()
    }
    assert reads == {
        "simple": {"viewer", "admin"},
        "teams": {"red", "admin"},
        "fab": {"admin", "viewer", "with_code"},
    }


@pytest.mark.parametrize(("manager", "user"), _cases(turned_away=False))
def test_static_files_pages_and_other_methods(found: dict[str, Any], manager: str, user: str) -> None:
    assert _one(found, manager, user, "/static/panel.css")["status"] == 200
    assert _one(found, manager, user, "/nowhere/at/all")["status"] == 404
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert {a["status"] for a in _of(found, manager, user, method)} == {405}
    assert {a["status"] for a in _of(found, manager, user, "HEAD")} <= {200, 302, 404}
    assert not [a for a in _of(found, manager, user) if a["status"] >= 500]


def test_asking_for_a_dag_that_one_may_not_read_is_403_whether_it_exists_or_not(
    found: dict[str, Any],
) -> None:
    for dag_id in ("secret_dag", "gone_dag", "no_dag"):
        assert _one(found, "fab", "open_only", f"/runs.json?dag_id={dag_id}")["status"] == 403
    assert _one(found, "fab", "open_only", "/runs.json?dag_id=open_dag")["status"] == 200
    for path in ("/runs.json?dag_id=~", _SMUGGLED):
        answer = _one(found, "fab", "open_only", path)
        assert answer["status"] in (200, 403) and "secret_dag" not in answer["text"].replace(
            "secret_dag&", ""
        )


def test_a_tab_leads_to_its_run_below_the_prefix(found: dict[str, Any]) -> None:
    [of_gone, of_open, of_secret] = _BY_NAME
    for manager, prefix in (("simple", ""), ("fab", "/pre")):
        answer = _one(found, manager, "viewer", of_open)
        assert (answer["status"], answer["headers"]["location"]) == (302, f"{prefix}/mlmd/runs/2")
        assert _one(found, manager, "viewer", of_gone)["headers"]["location"] == f"{prefix}/mlmd/runs/10"
    assert _one(found, "fab", "open_only", of_open)["status"] == 302
    assert _one(found, "fab", "open_only", of_secret)["status"] == 403


def test_links_lead_to_airflow_below_the_prefix(found: dict[str, Any]) -> None:
    quoted = "manual__2014-01-01T00%3A00%3A00%2B00%3A00"
    for manager, prefix in (("simple", ""), ("fab", "/pre")):
        page = _one(found, manager, "viewer", "/runs/2")["text"]
        assert f"{prefix}/dags/open_dag/runs/{quoted}" in page
