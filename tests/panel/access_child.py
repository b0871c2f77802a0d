"""Airflow's web application with the panel, asked as several users; a process of its own, as Airflow keeps one
auth manager in a process.

`python -m tests.panel.access_child` reads from its input, as JSON, more paths to ask for and the ids to put into
routes; prints, after RESULT, the panel's routes, for each user, method and path the status, headers and text, and
whether the user may read code.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.team import Team
from airflow.utils.session import create_session
from fastapi import Request
from fastapi.testclient import TestClient
from mlmd_panel.airflow3 import may_read_code

# Of routes' parameters, by name.
_VALUES = {"id": "{id}", "node": "Write", "file": "panel.css", "path": "nowhere/at/all"}
_METHODS = ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _make_dags() -> None:
    """Each in a bundle of its own; with teams, secret_dag belongs to one."""
    with create_session() as session:
        for dag_id in ("open_dag", "secret_dag"):  # the store also has gone_dag, which Airflow does not know
            bundle = DagBundleModel(name=f"bundle_of_{dag_id}")
            if dag_id == "secret_dag" and conf.getboolean("core", "multi_team"):
                bundle.teams.append(Team(name="red"))
            session.add(bundle)
            session.flush()
            session.add(DagModel(dag_id=dag_id, bundle_name=bundle.name, is_paused=False, fileloc="/x"))


def _simple_users() -> dict[str, str]:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    manager = get_auth_manager()
    users = [("viewer", "viewer", None), ("admin", "admin", None), ("nobody", None, None)]
    if conf.getboolean("core", "multi_team"):
        users.append(("red", "viewer", ["red"]))
    return {
        name: manager.generate_jwt(SimpleAuthManagerUser(username=name, role=role, teams=teams))
        for name, role, teams in users
    }


def _fab_users() -> dict[str, str]:
    manager: Any = get_auth_manager()
    with manager.flask_app.app_context():
        security = manager.flask_app.appbuilder.sm
        security.sync_roles()

        def role(name: str, *permissions: tuple[str, str]) -> Any:
            made = security.add_role(name)
            for permission in permissions:
                security.add_permission_to_role(made, security.create_permission(*permission))
            return made

        roles = {
            "admin": security.find_role("Admin"),
            "viewer": security.find_role("Viewer"),
            "public": security.find_role("Public"),
            "open_only": role("OpenOnly", ("can_read", "DAG:open_dag"), ("can_read", "DAG Runs")),
            "open_without_runs": role("OpenWithoutRuns", ("can_read", "DAG:open_dag")),
            "runs_without_dags": role("RunsWithoutDags", ("can_read", "DAG Runs")),
            "open_runs": role("OpenRuns", ("can_read", "DAGs"), ("can_read", "DAG Run:open_dag")),
            "without_code": role("WithoutCode", ("can_read", "DAGs"), ("can_read", "DAG Runs")),
            "with_code": role("WithCode", *(("can_read", f"DAG{what}") for what in ("s", " Runs", " Code"))),
        }
        users = {
            name: security.add_user(name, name, name, f"{name}@example.org", role, password=name)
            for name, role in roles.items()
        }
        return {name: manager.generate_jwt(user) for name, user in users.items()}


def _routes(app: Any) -> list[str]:
    [lazy] = [route.app for route in app.routes if getattr(route, "path", "") == "/mlmd"]
    return sorted({route.path for route in lazy.made.result().routes})


def _reads_code(token: str) -> bool:
    """Whether lines of code are shown to a user."""
    user = asyncio.run(get_auth_manager().get_user_from_token(token))
    return may_read_code(Request({"type": "http", "mlmd_panel.user": user}))


def main() -> None:
    """Asks everything; see the module."""
    simple = "SimpleAuthManager" in conf.get("core", "auth_manager")
    _make_dags()
    app = create_app()
    prefix = conf.get("api", "base_url", fallback="").partition("testserver")[2].rstrip("/")
    tokens = {"anonymous": "", "forger": "not.a.token", **(_simple_users() if simple else _fab_users())}
    asked = json.load(sys.stdin)
    answers = []
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:

        def ask(user: str, method: str, path: str, **headers: str) -> int:
            if tokens[user]:
                headers["Authorization"] = f"Bearer {tokens[user]}"
            answer = client.request(method, f"{prefix}/mlmd{path}", headers=headers)
            answers.append(
                {
                    "user": user,
                    "method": method,
                    "path": path,
                    "status": answer.status_code,
                    "headers": dict(answer.headers),
                    "text": answer.text,
                }
            )
            return answer.status_code

        ask("anonymous", "GET", "/")
        routes = _routes(app)
        paths = [re.sub(r"{(\w+)[^}]*}", lambda found: _VALUES[found[1]], path) for path in routes]
        for user in tokens:
            # Of who is turned away, one id shows it.
            ids = asked["ids"][:1] if ask(user, "GET", "/runs") in (401, 403) else asked["ids"]
            for path in paths:
                for id_ in ids if "{id}" in path else ("",):
                    ask(user, "GET", path.replace("{id}", id_))
            for method in _METHODS:
                for path in ("/", "/runs", "/runs.json", "/static/panel.css", "/nowhere"):
                    ask(user, method, path)
            for path in asked["paths"]:
                ask(user, "GET", path)
    code = {user: _reads_code(token) for user, token in tokens.items() if user not in ("anonymous", "forger")}
    print("RESULT" + json.dumps({"routes": routes, "answers": answers, "code": code}))


if __name__ == "__main__":
    main()
