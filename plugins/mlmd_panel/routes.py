"""The panel's addresses: each page, its JSON twin, its CSV, and the static files."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from pydantic import BaseModel

from mlmd_panel import csv_text, links, pages
from mlmd_panel.answer import Answer, to_json
from mlmd_panel.errors import NotFound
from mlmd_panel.views import (
    artifacts,
    compare,
    contexts,
    executions,
    home,
    lineage,
    nodes,
    pipelines,
    run,
    runs,
    search,
)
from mlmd_panel.visit import Visiting

PAGES: dict[str, Callable[..., Answer]] = {
    "/pipelines": pipelines.pipelines,
    "/runs": runs.runs,
    "/runs/{id}": run.run,
    "/runs/{id}/nodes/{node:path}": nodes.node,
    "/executions": executions.executions,
    "/executions/{id}": executions.execution,
    "/artifacts": artifacts.artifacts,
    "/artifacts/{id}": artifacts.artifact,
    "/artifacts/{id}/lineage": lineage.lineage,
    "/contexts": contexts.contexts,
    "/contexts/{id}": contexts.context,
    "/compare": compare.compare,
    "/search": search.search,
}
TABLES: dict[str, Callable[..., Answer]] = {
    "/runs": runs.runs,
    "/executions": executions.executions,
    "/artifacts": artifacts.artifacts,
}


class ErrorBody(BaseModel):
    """The body of every error in JSON."""

    ok: bool
    error: str
    status: int
    headline: str


def router() -> APIRouter:
    """All routes; the catch-all comes last."""
    made = APIRouter()
    methods = ["GET", "HEAD"]
    made.add_api_route("/", _home, methods=methods, include_in_schema=False)
    made.add_api_route("/api.json", _api, methods=methods, include_in_schema=False)
    made.add_api_route("/static/{file:path}", _static, methods=methods, include_in_schema=False)
    for path, view in TABLES.items():
        made.add_api_route(f"{path}.csv", _as_csv(view), methods=methods, include_in_schema=False)
    errors = {status: {"model": ErrorBody} for status in (400, 404, 422, 500, 503)}
    for path, view in PAGES.items():
        made.add_api_route(
            f"{path}.json",
            _as_json(view),
            methods=["GET"],
            responses=errors,
            summary=(view.__doc__ or "").partition("\n")[0],
            operation_id=view.__name__,
        )
        made.add_api_route(f"{path}.json", _as_json(view), methods=["HEAD"], include_in_schema=False)
        made.add_api_route(path, _as_html(view), methods=methods, include_in_schema=False)
    made.add_api_route("/{path:path}", _nowhere, methods=methods, include_in_schema=False)
    return made


def _as_html(view: Callable[..., Answer]) -> Callable[..., Response]:
    shown = Depends(view)

    def html(asked: Visiting, answer: Any = shown) -> Response:
        headers = {"link": f'<{asked.urls.twin("json")}>; rel="alternate"; type="application/json"'}
        return Response(
            pages.page(answer, asked.panel, asked.urls, asked.dags is None),
            headers=headers,
            media_type="text/html",
        )

    return html


def _as_json(view: Callable[..., Answer]) -> Callable[..., Response]:
    shown = Depends(view)

    def json(answer: Any = shown) -> Response:
        return Response(
            to_json({"ok": True, "title": answer.title, **answer.data}), media_type="application/json"
        )

    return json


def _as_csv(view: Callable[..., Answer]) -> Callable[..., Response]:
    shown = Depends(view)

    def csv(answer: Any = shown) -> Response:
        name = answer.template.removesuffix(".html")
        headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
        return Response(
            csv_text.table(name, answer.data), headers=headers, media_type="text/csv; charset=utf-8"
        )

    return csv


def _home(destination: Annotated[str, Depends(home.destination)]) -> Response:
    return RedirectResponse(destination, status_code=302)


def _api(request: Request) -> Response:
    description = {**request.app.openapi(), "servers": [{"url": request.scope.get("root_path", "") or "/"}]}
    return Response(to_json(description), media_type="application/json")


def _static(request: Request, file: str) -> Response:
    path = links.static_file(file)
    if path is None:
        raise NotFound("There is no such file.")
    current = request.query_params.get("v") == links.version(file)
    keep = "private, max-age=31536000, immutable" if current else "private, no-cache"
    media_type = mimetypes.guess_type(file)[0] or "application/octet-stream"
    return FileResponse(path, headers={"cache-control": keep}, media_type=media_type)


def _nowhere(path: str) -> Response:
    raise NotFound("There is no such page.")
