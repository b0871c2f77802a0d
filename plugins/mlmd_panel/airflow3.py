"""Runs the panel inside Airflow 3: access rights, the store's address, and links to Airflow's pages.

A user sees what Airflow lets them read of DAG runs, as ML Metadata has no access control of its own. Runs whose DAG
Airflow does not know (made by LocalDagRunner, or of a deleted DAG) are shown to users who may read every DAG.
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

from mlmd_panel.files import account
from mlmd_panel.files.allowed import Files
from mlmd_panel.files.repository import Repository
from mlmd_panel.settings import SECTION, Settings, read_settings
from mlmd_panel.store import address
from mlmd_panel.store.reconnecting import FreshStore
from mlmd_panel.web import error_pages
from mlmd_panel.web.airflow_links import AirflowLinks
from mlmd_panel.web.app import Panel, create_app

_USER = "mlmd_panel.user"
_NO_DAG = "(a DAG that Airflow does not know)"  # not a DAG id: those have no spaces
_NO_RIGHT = "Your Airflow user may not read these DAG runs. Ask an Airflow administrator for access."
_may_read_runs = requires_access_dag("GET", DagAccessEntity.RUN)


def make_app() -> Any:
    """The application that Airflow mounts.

    Raises:
      SettingsError: A setting in [mlmd_panel] is not valid.
    """
    settings = read_settings(lambda name: conf.get(SECTION, name, fallback=None))
    files = artifact_files(settings)
    store, repository = FreshStore(lambda: store_url(settings)), Repository(settings.repository)
    panel = Panel(store, files, AirflowLinks(API_ROOT_PATH), settings.title, repository)
    app = create_app(panel, readable=readable, may_read_code=may_read_code)
    # Dependencies of routes would not guard requests that no route answers, such as those with other methods. The
    # last middleware runs before all routes, and inside the one that adds headers to every response.
    app.user_middleware.append(Middleware(Gate))
    return app


def artifact_files(settings: Settings) -> Files:
    """The artifacts' files, below the roots of the settings."""
    return Files(
        settings.root_list() or (_home(),),
        settings.max_bytes,
        settings.max_entries,
        lambda protocol: _account(settings, protocol),
    )


class Gate:
    """Admits requests of logged-in users who may read runs of the DAG in ?dag_id=, or of any DAG without it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers 401 or 403, or passes the request on with its user."""
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] == "http":
            request = Request(scope, receive)
            try:
                user = await get_user(request, None, await bearer_scheme(request))
                if "\0" in request.query_params.get("dag_id", ""):
                    raise HTTPException(404)  # PostgreSQL would reject the query
                await run_in_threadpool(_may_read_runs, request, user)
            except HTTPException as error:
                needs_login = error.status_code == 401 or "token" in error.detail.lower()
                error.detail = "Log in to Airflow, then reload this page." if needs_login else _NO_RIGHT
                return await error_pages.of_http(request, error)(scope, receive, send)
            scope[_USER] = user
        await self._app(scope, receive, send)


def readable(request: Request) -> frozenset[str] | None:
    """DAGs whose runs the request's user may read; None if the user may read everything."""
    user, manager = request.scope[_USER], get_auth_manager()
    dag_ids = manager.get_authorized_dag_ids(user=user)
    teams = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))

    def asked(dag_id: str, team: str | None) -> Any:
        details = DagDetails(id=dag_id, team_name=team)
        return {"method": "GET", "access_entity": DagAccessEntity.RUN, "details": details}

    wanted = [asked(dag_id, teams.get(dag_id)) for dag_id in dag_ids]
    if not manager.batch_is_authorized_dag(wanted, user=user):
        return frozenset(one["details"].id for one in wanted if manager.is_authorized_dag(**one, user=user))
    every = _may_read_of_unknown_dags(request, DagAccessEntity.RUN) and not _dag_ids() - set(dag_ids)
    return None if every else frozenset(dag_ids)


def may_read_code(request: Request) -> bool:
    """Whether the request's user may read the code of every DAG, also of those that Airflow does not know."""
    return _may_read_of_unknown_dags(request, DagAccessEntity.CODE)


def _may_read_of_unknown_dags(request: Request, entity: DagAccessEntity) -> bool:
    asked = [
        {"method": "GET", "access_entity": entity, "details": DagDetails(id=_NO_DAG, team_name=team)}
        for team in (None, *Team.get_all_team_names())
    ]
    return get_auth_manager().batch_is_authorized_dag(asked, user=request.scope[_USER])


def store_url(settings: Settings) -> URL:
    """Address of the store: [mlmd_panel] mlmd, or the Connection, or the SQLite file of [tfx_airflow].

    Raises:
      SettingsError: The setting or the Connection is not a store's address, or the Connection cannot be read.
    """
    name = settings.mlmd_conn_id or conf.get("tfx_airflow", "mlmd_conn_id", fallback=None)
    return address.in_airflow(settings.mlmd, name or "", _home(), _connection)


def _account(settings: Settings, protocol: str) -> dict[str, Any]:
    name = settings.object_store_conn_id or conf.get("tfx_airflow", "object_store_conn_id", fallback=None)
    return account.driver_options(_connection(name) if name else None, protocol)


def _connection(name: str) -> Connection | None:
    """A Connection; None if Airflow finds none."""
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
