"""Airflow plugin that mounts the panel at /mlmd and adds it to the UI's menus and tabs.

Every Airflow process imports this file, even each task's, but only the API server needs the panel, so the panel
itself is imported on its first request.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

_log = logging.getLogger(__name__)
_BROKEN = b"The ML Metadata panel cannot be loaded. See the log of Airflow's API server.\n"


class LazyPanel:
    """ASGI application that loads the panel on its first request, and answers 503 if it cannot be loaded.

    Attributes:
      made: Future of the panel; None before the first request.
    """

    def __init__(self) -> None:
        self.made: asyncio.Future[Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Passes the request on."""
        if self.made is None:
            self.made = asyncio.ensure_future(asyncio.to_thread(_make))
        # A client that disconnects while the panel loads must not cancel the loading for the others.
        app = await asyncio.shield(self.made)
        await app(scope, receive, send)


def _make() -> Any:
    try:
        from mlmd_panel.airflow3 import make_app

        return make_app()
    except Exception:
        _log.exception("The ML Metadata panel cannot be loaded")
        return _refuse


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1011})
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else _BROKEN
        await send({"type": "http.response.body", "body": body})


class TfxPlugin(AirflowPlugin):
    """The panel in Airflow; addresses without a leading slash are relative to [api] base_url."""

    name = "tfx"
    fastapi_apps = [{"app": LazyPanel(), "url_prefix": "/mlmd", "name": "ML Metadata"}]
    external_views = [
        {
            "name": "ML Metadata",
            "href": "mlmd/",
            "destination": "nav",
            "category": "browse",
            "url_route": "mlmd",
        },
        {
            "name": "ML Metadata",
            "href": "mlmd/runs?dag_id={DAG_ID}",
            "destination": "dag",
            "url_route": "mlmd-dag",
        },
        {
            "name": "ML Metadata",
            "href": "mlmd/?dag_id={DAG_ID}&run_id={RUN_ID}",
            "destination": "dag_run",
            "url_route": "mlmd-run",
        },
        {
            "name": "ML Metadata",
            "href": "mlmd/executions?dag_id={DAG_ID}&task_id={TASK_ID}",
            "destination": "task",
            "url_route": "mlmd-task",
        },
        {
            "name": "ML Metadata",
            "href": "mlmd/?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}",
            "destination": "task_instance",
            "url_route": "mlmd-task-instance",
        },
    ]
