"""The panel inside Airflow 3: who may look at what, where the store is, links to Airflow's pages.

What may be seen follows Airflow's rights to read DAG runs; ML Metadata has no rights of its own. Runs whose DAG
Airflow does not know (of a LocalDagRunner, or of a DAG that was deleted) are shown to users who may read every DAG.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.api_fastapi.app import API_ROOT_PATH, get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_dag
from airflow.configuration import AIRFLOW_HOME, conf
from airflow.exceptions import AirflowNotFoundException
from airflow.models import Connection, DagModel
from airflow.models.team import Team
from airflow.utils.session import create_session
from fastapi import HTTPException, Request
from sqlalchemy import select
from sqlalchemy.engine import URL
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from mlmd_panel.errors import SettingsError
from mlmd_panel.files.allowed import Files
from mlmd_panel.settings import SECTION, Settings, read_settings
from mlmd_panel.store import address
from mlmd_panel.store.mlmd_facts import FORMER_CONNECTION, SQLITE_FILE
from mlmd_panel.store.reconnecting import FreshStore
from mlmd_panel.web import error_pages
from mlmd_panel.web.airflow_links import AirflowLinks
from mlmd_panel.web.app import Panel, create_app

_USER = "mlmd_panel.user"
_NO_DAG = "(a DAG that Airflow does not know)"  # no DAG id: those have no blanks
_NO_RIGHT = "Your Airflow user may not read these DAG runs; an administrator of Airflow gives that right."
_may_read_runs = requires_access_dag("GET", DagAccessEntity.RUN)


def make_app() -> Any:
    """The application that Airflow mounts.

    Raises:
      SettingsError: A setting of [mlmd_panel] cannot be used.
    """
    settings = read_settings(lambda name: conf.get(SECTION, name, fallback=None))
    files = Files(settings.root_list() or (_home(),), settings.max_bytes, settings.max_entries)
    panel = Panel(FreshStore(lambda: store_url(settings)), files, AirflowLinks(API_ROOT_PATH), settings.title)
    app = create_app(panel, readable=readable)
    # Dependencies of routes would not guard what no route answers, such as other methods; the last one here comes
    # before all routes and inside of what puts headers on every response.
    app.user_middleware.append(Middleware(Gate))
    return app


class Gate:
    """Lets a request through when its user is logged in and may read runs: of the DAG in ?dag_id=, else of any."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuses with 401 or 403, or passes the request on with its user."""
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] == "http":
            request = Request(scope, receive)
            try:
                user = await get_user(request, None, await bearer_scheme(request))
                if "\0" in request.query_params.get("dag_id", ""):
                    raise HTTPException(404)  # PostgreSQL would refuse the question
                await run_in_threadpool(_may_read_runs, request, user)
            except HTTPException as error:
                anew = error.status_code == 401 or "token" in error.detail.lower()
                error.detail = "Log in to Airflow, then load this page again." if anew else _NO_RIGHT
                return await error_pages.of_http(request, error)(scope, receive, send)
            scope[_USER] = user
        await self._app(scope, receive, send)


def readable(request: Request) -> frozenset[str] | None:
    """DAGs whose runs the request's user may read; None when that is all there can be."""
    user, manager = request.scope[_USER], get_auth_manager()
    dag_ids = manager.get_authorized_dag_ids(user=user)
    teams = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))

    def asked(dag_id: str, team: str | None) -> Any:
        details = DagDetails(id=dag_id, team_name=team)
        return {"method": "GET", "access_entity": DagAccessEntity.RUN, "details": details}

    wanted = [asked(dag_id, teams.get(dag_id)) for dag_id in dag_ids]
    if not manager.batch_is_authorized_dag(wanted, user=user):
        return frozenset(one["details"].id for one in wanted if manager.is_authorized_dag(**one, user=user))
    unknown = [asked(_NO_DAG, team) for team in (None, *Team.get_all_team_names())]
    every = manager.batch_is_authorized_dag(unknown, user=user) and not _dag_ids() - set(dag_ids)
    return None if every else frozenset(dag_ids)


def store_url(settings: Settings) -> URL:
    """Address of the store: [mlmd_panel] mlmd, or the Connection, or the SQLite file of [tfx_airflow].

    Raises:
      SettingsError: The setting or the Connection names no store, or the Connection cannot be read.
    """
    if settings.mlmd:
        return address.of_text(settings.mlmd)
    name = settings.mlmd_conn_id or conf.get("tfx_airflow", "mlmd_conn_id", fallback=None)
    connection = _connection(name or FORMER_CONNECTION)
    if name and connection is None:
        raise SettingsError(
            f"The Connection {name!r} of the ML Metadata store is not there, or cannot be read now; "
            "an administrator of Airflow makes or corrects it."
        )
    if name:
        return address.of_connection(connection)
    if connection is not None:
        raise SettingsError(
            f"There is a Connection {FORMER_CONNECTION!r}, and no setting names it: an administrator of Airflow sets "
            f"[tfx_airflow] mlmd_conn_id = {FORMER_CONNECTION}, or deletes the Connection."
        )
    return address.of_file(Path(_home()) / SQLITE_FILE)


def _connection(name: str) -> Connection | None:
    """A Connection; None when Airflow has none, or cannot say."""
    try:
        return Connection.get_connection_from_secrets(name)
    except AirflowNotFoundException:
        return None


def _home() -> str:
    home = conf.get("tfx_airflow", "home", fallback=None) or Path(AIRFLOW_HOME) / "tfx"
    return os.path.abspath(os.path.expanduser(home))


def _dag_ids() -> set[str]:
    with create_session() as session:
        return set(session.scalars(select(DagModel.dag_id)))
